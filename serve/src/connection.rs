//! The stream of a client's connection, and its end. hyper would close at once, and cannot reset a connection.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::state::ConnectionState;

/// Time that a closing connection waits for the client to close its side. A socket that is closed while the
/// client still sends (a body that was refused unread) answers those bytes with a reset, and the client then
/// discards the answer that it has not read yet.
const LINGER: Duration = Duration::from_secs(1);

/// Bytes of one read that discards what a client still sends.
const DISCARDED_BYTES: usize = 4096;

/// The answer to the preface of HTTP/2 (RFC 9113, 3.4), which hyper does not answer.
const BAD_REQUEST: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Every way in which a connection ends. At the end of the drain the process exits, and resets those that are left.
pub(crate) enum End {
    /// hyper has served it to its end: the client closed or sent an invalid head, a body was left unread, the
    /// client or the drain asked for the close. After its last answer the server reads until the client closes.
    Served,
    /// The client speaks HTTP/2: 400, then the same.
    Http2,
    /// The client sends no complete head, or does not read its answer: closed at once.
    Idle,
    /// The service failed: a reset.
    Failed,
}

/// Ends a connection that hyper has let go of.
pub(crate) async fn close(mut stream: TcpStream, end: End) {
    match end {
        End::Idle => return,
        End::Failed => {
            // A linger time of zero makes the close a reset (RST). If that fails, the client gets an ordinary
            // close without an answer, which is an error to the client too.
            let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
            return;
        }
        // The errors are the client's, here and below.
        End::Http2 => drop(stream.write_all(BAD_REQUEST).await),
        End::Served => {}
    }
    let linger = async {
        stream.shutdown().await?;
        // On the heap: each connection would hold it from its start.
        let mut discarded = vec![0; DISCARDED_BYTES];
        while stream.read(&mut discarded).await? > 0 {}
        io::Result::Ok(())
    };
    let _ = timeout(LINGER, linger).await;
}

/// A TCP stream for hyper, which goes back to the connection's state when hyper drops it. It supports no vectored
/// writes: `send` of a copied answer costs less than `writev`.
pub(crate) struct Stream {
    /// None after the drop.
    stream: Option<TcpStream>,
    state: Arc<ConnectionState>,
}

impl Stream {
    pub(crate) fn new(stream: TcpStream, state: Arc<ConnectionState>) -> Self {
        Self {
            stream: Some(stream),
            state,
        }
    }

    fn stream(&mut self) -> Pin<&mut TcpStream> {
        Pin::new(self.stream.as_mut().expect("it is taken by drop only"))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.state.return_stream(self.stream.take());
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream().poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A TCP stream has no buffer to flush.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Left to `close`.
        Poll::Ready(Ok(()))
    }
}
