//! A client's connection whose end never costs the client an answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::pulse::Pulse;

/// How long a closing connection waits for the client to close its side. A socket that is closed
/// while the client still sends (a body that was refused unread) answers those bytes with a reset,
/// which makes the client discard the answer it has not read yet.
const LINGER: Duration = Duration::from_secs(1);

/// A TCP stream that lingers after its write side is shut down, and ends with a reset after a service
/// that failed. It takes no vectored writes: to copy an answer behind its head costs less than what
/// `writev` costs beyond `send`.
pub(crate) struct Connection {
    stream: TcpStream,
    pulse: Arc<Pulse>,
    linger: Option<Pin<Box<Sleep>>>,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, pulse: Arc<Pulse>) -> Self {
        Self {
            stream,
            pulse,
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

    /// Ends the write side, then discards what the client still sends until it closes or the
    /// linger time is over.
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
            // Most clients have closed before: they cost no timer.
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
        if self.pulse.has_failed() {
            // A linger time of zero makes the close a reset (RST). If that fails the client sees
            // an ordinary close without an answer, which is as much of a failure to it.
            let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        }
    }
}
