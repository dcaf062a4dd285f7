//! A worker: serves the connections that are dispatched to it, then drains.

use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::select;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{sleep, timeout};

use crate::connection::{self, End, Stream};
use crate::state::ConnectionState;
use crate::{HttpService, Server, service};

/// Longest request head in bytes, with room for any token; a longer one is answered with 431.
const HEAD_MAX_BYTES: usize = 16 * 1024;

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

/// Serves `connections` until their channel closes, then drains. Answers announce the close of their connections from
/// the time of `stopping` on.
pub(crate) async fn work<S: HttpService>(
    server: Server,
    service: S,
    mut connections: UnboundedReceiver<Accepted>,
    stopping: Arc<AtomicBool>,
) {
    let mut http = http1::Builder::new();
    // The size limit of a head is that of the buffer too: the memory of a client that sends and never reads.
    http.max_header_size(HEAD_MAX_BYTES)
        .max_buf_size(HEAD_MAX_BYTES)
        // A client that has closed its side behind its request may still read the answer.
        .half_close(true);
    let (drain, draining) = watch::channel(());
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
        let state = Arc::new(ConnectionState::new(Arc::clone(&stopping)));
        let serving = serve(
            http.clone(),
            stream,
            service.clone(),
            Arc::clone(&state),
            draining.clone(),
            server.head_timeout,
        );
        tokio::spawn(async move {
            serving.await;
            drop(permit);
        });
    }
    drop(draining);
    sleep(SETTLE).await;
    let open = drain.receiver_count();
    let _ = drain.send(());
    if timeout(server.drain_timeout, drain.closed()).await.is_err() {
        tracing::warn!(open, "stopped before every request was answered");
    }
}

/// Serves a connection to its end. When `draining` changes, an idle one ends, and a busy one ends after its answer.
async fn serve<S: HttpService>(
    http: http1::Builder,
    stream: TcpStream,
    service: S,
    state: Arc<ConnectionState>,
    mut draining: watch::Receiver<()>,
    head_timeout: Duration,
) {
    let end = {
        let service = service::for_connection(service, Arc::clone(&state));
        let io = TokioIo::new(Stream::new(stream, Arc::clone(&state)));
        let mut connection = pin!(http.serve_connection(io, service));
        let mut idle = pin!(state.idle_for(head_timeout));
        let mut is_draining = false;
        loop {
            select! {
                biased;
                served = connection.as_mut() => break match served {
                    _ if state.has_failed() => End::Failed,
                    Err(error) if error.is_parse_version_h2() => End::Http2,
                    // Other errors are the client's: an operator can do nothing about them.
                    _ => End::Served,
                },
                () = idle.as_mut() => break End::Idle,
                _ = draining.changed(), if !is_draining => {
                    is_draining = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    };
    if let Some(stream) = state.take_stream() {
        connection::close(stream, end).await;
    }
}
