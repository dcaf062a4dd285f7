//! A worker thread: serves the connections it is dealt, then drains.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpStream;
use tokio::select;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::HttpService;
use crate::connection::Connection;
use crate::guard::Guarded;
use crate::pulse::Pulse;

/// Longest request head in bytes; a longer one is answered with 431. Room for any token.
const HEAD_MAX_BYTES: usize = 16 * 1024;

/// From so many bytes on, no more are read ahead of a connection, or written ahead of its client: what
/// a client costs that sends and never reads. One read may go beyond it, by as much again at most.
const BUFFER_MAX_BYTES: usize = 2 * HEAD_MAX_BYTES;

/// After the stop signal, time in which connections are still accepted, and then time until the
/// first one is told to close: a request on its way when the signal came is read and answered.
pub(crate) const SETTLE: Duration = Duration::from_millis(20);

/// Which of how many workers this is, for a service that splits a budget over them.
#[derive(Clone, Copy, Debug)]
pub struct Worker {
    /// From 0.
    pub index: usize,
    /// Number of workers.
    pub count: NonZeroUsize,
}

impl Worker {
    /// This worker's part of `total`: the parts of all workers add up to it exactly.
    #[must_use]
    pub fn share(self, total: NonZeroUsize) -> usize {
        let (each, rest) = (total.get() / self.count, total.get() % self.count);
        each + usize::from(self.index < rest)
    }
}

/// A connection that was accepted, and its place among the connections the server may hold.
pub(crate) type Accepted = (std::net::TcpStream, OwnedSemaphorePermit);

/// Bounds of the connections of one worker.
#[derive(Clone, Copy)]
pub(crate) struct Deadlines {
    pub(crate) head: Duration,
    pub(crate) drain: Duration,
}

/// Serves `connections` until their channel closes, then drains.
pub(crate) async fn work<S: HttpService>(
    mut connections: UnboundedReceiver<Accepted>,
    service: S,
    deadlines: Deadlines,
) {
    let mut http = http1::Builder::new();
    http.max_header_size(HEAD_MAX_BYTES)
        .max_buf_size(BUFFER_MAX_BYTES);
    let graceful = GracefulShutdown::new();
    while let Some((stream, permit)) = connections.recv().await {
        let stream = match TcpStream::from_std(stream) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "dropped a connection that the runtime did not take");
                continue;
            }
        };
        let pulse = Arc::new(Pulse::new());
        let io = TokioIo::new(Connection::new(stream, Arc::clone(&pulse)));
        let service = Guarded::new(service.clone(), Arc::clone(&pulse));
        let connection = graceful.watch(http.serve_connection(io, service));
        tokio::spawn(async move {
            select! {
                biased;
                // A connection's errors are its client's: nothing an operator could act on.
                _ = connection => {}
                () = pulse.is_quiet_for(deadlines.head) => {}
            }
            drop(permit);
        });
    }
    tokio::time::sleep(SETTLE).await;
    let open = graceful.count();
    if tokio::time::timeout(deadlines.drain, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!(open, "stopped before every request was answered");
    }
}
