//! A worker: serves the connections that are dispatched to it, then drains.

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
use tokio::time::{sleep, timeout};

use crate::connection::Connection;
use crate::state::ConnectionState;
use crate::{HttpService, Server, service};

/// Longest request head in bytes, with room for any token; a longer one is answered with 431.
const HEAD_MAX_BYTES: usize = 16 * 1024;

/// Most bytes that are read ahead from a client, or written ahead to it: the memory of a client that sends and
/// never reads. One read may exceed it by as much again.
const BUFFER_MAX_BYTES: usize = 2 * HEAD_MAX_BYTES;

/// Time after the stop signal in which connections are still accepted, and then time until idle connections are
/// closed: a request that was on its way when the signal came is read and answered.
pub(crate) const SETTLE: Duration = Duration::from_millis(20);

/// One of several workers, for a service that splits a budget over them.
#[derive(Clone, Copy, Debug)]
pub struct Worker {
    /// Index from 0.
    pub index: usize,
    /// Number of workers.
    pub count: NonZeroUsize,
}

impl Worker {
    /// Returns this worker's part of `total`; the parts of all workers add up to it.
    #[must_use]
    pub fn share(self, total: NonZeroUsize) -> usize {
        let (each, rest) = (total.get() / self.count, total.get() % self.count);
        each + usize::from(self.index < rest)
    }
}

/// An accepted connection, and its permit among the connections that the server may hold.
pub(crate) type Accepted = (std::net::TcpStream, OwnedSemaphorePermit);

/// Serves `connections` until their channel closes, then drains.
pub(crate) async fn work<S: HttpService>(
    server: Server,
    service: S,
    mut connections: UnboundedReceiver<Accepted>,
) {
    let mut http = http1::Builder::new();
    http.max_header_size(HEAD_MAX_BYTES)
        .max_buf_size(BUFFER_MAX_BYTES);
    let graceful = GracefulShutdown::new();
    while let Some((stream, permit)) = connections.recv().await {
        // A body in several frames must not wait for the client's delayed acknowledgement. If the client has
        // gone, serving it finds that out.
        let _ = stream.set_nodelay(true);
        let stream = match TcpStream::from_std(stream) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "dropped a connection that the runtime refused");
                continue;
            }
        };
        let state = Arc::new(ConnectionState::new());
        let service = service::for_connection(service.clone(), Arc::clone(&state));
        let io = TokioIo::new(Connection::new(stream, Arc::clone(&state)));
        let connection = graceful.watch(http.serve_connection(io, service));
        tokio::spawn(async move {
            select! {
                biased;
                // Its errors are the client's: an operator can do nothing about them.
                _ = connection => {}
                () = state.idle_for(server.head_timeout) => {}
            }
            drop(permit);
        });
    }
    sleep(SETTLE).await;
    let open = graceful.count();
    let drained = timeout(server.drain_timeout, graceful.shutdown()).await;
    if drained.is_err() {
        tracing::warn!(open, "stopped before every request was answered");
    }
}
