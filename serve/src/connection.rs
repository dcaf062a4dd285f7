//! The stream of a client's connection: it lingers when it closes, so that the client can read its last answer.
//! hyper closes at once, and cannot reset a connection.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::state::ConnectionState;

/// Time that a closing connection waits for the client to close its side. A socket that is closed while the
/// client still sends (a body that was refused unread) answers those bytes with a reset, and the client then
/// discards the answer that it has not read yet.
const LINGER: Duration = Duration::from_secs(1);

/// A TCP stream that lingers after its write side is shut down, and ends with a reset if the service failed. It
/// supports no vectored writes: `send` of a copied answer costs less than `writev`.
pub(crate) struct Connection {
    stream: TcpStream,
    state: Arc<ConnectionState>,
    linger: Option<Pin<Box<Sleep>>>,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, state: Arc<ConnectionState>) -> Self {
        Self {
            stream,
            state,
            linger: None,
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    /// Shuts down the write side, then discards what the client sends until it closes or the linger time ends.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
        }
        let mut discarded = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut discarded);
            let read = Pin::new(&mut this.stream).poll_read(context, &mut buffer);
            let has_more = matches!(read, Poll::Ready(Ok(()))) && !buffer.filled().is_empty();
            // Most clients have closed by now, and cost no timer.
            if read.is_ready() && !has_more {
                return Poll::Ready(Ok(()));
            }
            let linger = this
                .linger
                .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + LINGER)));
            if linger.as_mut().poll(context).is_ready() {
                return Poll::Ready(Ok(()));
            }
            if read.is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.state.has_failed() {
            // A linger time of zero makes the close a reset (RST). If that fails, the client gets an ordinary
            // close without an answer, which is an error to the client too.
            let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        }
    }
}
