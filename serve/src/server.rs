//! The server: its limits, its threads, and the accept loop.

use std::io;
use std::net::TcpListener;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{interval, sleep};
use tokio::{join, select};
use tower::BoxError;

use crate::HttpService;
use crate::bind::connections_max;
use crate::memory::{TRIM_INTERVAL, trim};
use crate::worker::{Accepted, SETTLE, Worker, work};

/// Pause after the system refused a connection (out of file descriptors or memory).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Time for a request's head, including the idle time before it. Longer than clients keep idle connections in
/// their pools, so that the client closes first.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);

/// Time for the requests in flight to finish after the stop signal: longer than the deadlines of the contract
/// (5 s for a database connection and 5 s for its statement).
const DRAIN_TIMEOUT: Duration = Duration::from_secs(12);

/// An error that stopped a server before its stop signal.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The system refused a runtime, a thread or the listener.
    #[error("cannot serve: {0}")]
    Io(#[from] io::Error),
    /// A worker could not make its service.
    #[error("cannot start: {0}")]
    Service(BoxError),
    /// A worker thread ended before the drain.
    #[error("a worker thread died")]
    WorkerDied,
}

/// A server and its limits.
#[derive(Clone, Copy, Debug)]
pub struct Server {
    /// Worker threads.
    pub workers: NonZeroUsize,
    /// Connections served at once; more wait in the listener's backlog.
    pub connections_max: usize,
    /// Time for a request's head after the last answer, and for the client to read that answer.
    pub head_timeout: Duration,
    /// Time for requests in flight to finish after the stop signal.
    pub drain_timeout: Duration,
}

impl Server {
    /// Creates a server with the suite's limits. Raises the process's limit of open files as far as the system
    /// allows.
    #[must_use]
    pub fn new(workers: NonZeroUsize) -> Self {
        Self {
            workers,
            connections_max: connections_max(),
            head_timeout: HEAD_TIMEOUT,
            drain_timeout: DRAIN_TIMEOUT,
        }
    }

    /// Serves until `stop` is ready, then drains: closes the listener and idle connections, and lets requests
    /// in flight finish. Blocks the calling thread, which is the first worker: with one worker the process has
    /// a single thread, and the C library takes no locks.
    ///
    /// `make_service` is called once per worker, in that worker's runtime; an error that the service returns
    /// resets the connection it came from.
    ///
    /// # Errors
    /// [`ServeError`]; nothing was served if a worker could not make its service.
    pub fn run<S: HttpService>(
        self,
        listener: TcpListener,
        make_service: impl Fn(Worker) -> Result<S, BoxError> + Clone + Send + 'static,
        stop: impl Future<Output = ()>,
    ) -> Result<(), ServeError> {
        let runtime = runtime()?;
        let (sender, connections) = mpsc::unbounded_channel();
        let service = self.make(&runtime, &make_service, 0)?;
        let stopping = Arc::new(AtomicBool::new(false));
        let mut workers = vec![sender];
        let mut threads = Vec::new();
        for index in 1..self.workers.get() {
            let (sender, thread) =
                self.start_worker(index, make_service.clone(), Arc::clone(&stopping))?;
            workers.push(sender);
            threads.push(thread);
        }
        let stop = async {
            stop.await;
            stopping.store(true, Ordering::Relaxed);
            sleep(SETTLE).await;
        };
        let accept = self.accept(listener, workers, stop);
        let work = work(self, service, connections, Arc::clone(&stopping));
        let (accepted, ()) = runtime.block_on(async { join!(accept, work) });
        let joined: thread::Result<Vec<()>> = threads.into_iter().map(JoinHandle::join).collect();
        // Name look-ups in flight must not delay the exit.
        runtime.shutdown_background();
        accepted.and(joined.map(drop).map_err(|_| ServeError::WorkerDied))
    }

    /// Accepts connections and dispatches them to the workers round-robin until `stop` is ready. The workers
    /// drain when it returns.
    async fn accept(
        &self,
        listener: TcpListener,
        workers: Vec<UnboundedSender<Accepted>>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), ServeError> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let permits = Arc::new(Semaphore::new(self.connections_max));
        let mut workers = workers.iter().cycle();
        let mut dispatch = |connection| {
            let worker = workers.next().ok_or(ServeError::WorkerDied)?;
            worker.send(connection).map_err(|_| ServeError::WorkerDied)
        };
        let mut stop = pin!(stop);
        let mut trims = interval(TRIM_INTERVAL);
        loop {
            let accepted = select! {
                () = &mut stop => break,
                _ = trims.tick() => {
                    trim();
                    continue;
                }
                accepted = accept_one(&listener, &permits) => accepted,
            };
            match accepted {
                Ok(connection) => dispatch(connection)?,
                // The client closed before it was accepted.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections, trying again");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // Connections in the backlog are established: closing the listener would reset them, with the requests
        // that they have sent.
        let listener = listener.into_std()?;
        while let Ok(permit) = Arc::clone(&permits).try_acquire_owned()
            && let Ok((stream, _)) = listener.accept()
        {
            stream.set_nonblocking(true)?;
            dispatch((stream, permit))?;
        }
        Ok(())
    }

    /// Starts a worker in a thread of its own, and returns once it has made its service. The worker drains when
    /// its sender is dropped.
    fn start_worker<S: HttpService>(
        self,
        index: usize,
        make_service: impl Fn(Worker) -> Result<S, BoxError> + Send + 'static,
        stopping: Arc<AtomicBool>,
    ) -> Result<(UnboundedSender<Accepted>, JoinHandle<()>), ServeError> {
        let (sender, connections) = mpsc::unbounded_channel();
        let (started, has_started) = oneshot::channel();
        let runtime = runtime()?;
        let run = move || {
            match self.make(&runtime, &make_service, index) {
                Ok(service) => {
                    let _ = started.send(Ok(()));
                    runtime.block_on(work(self, service, connections, stopping));
                }
                Err(error) => {
                    let _ = started.send(Err(error));
                }
            }
            // Name look-ups in flight must not delay the exit.
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(run)?;
        let made = has_started.blocking_recv();
        made.map_err(|_| ServeError::WorkerDied)??;
        Ok((sender, thread))
    }

    fn make<S: HttpService>(
        self,
        runtime: &Runtime,
        make_service: impl Fn(Worker) -> Result<S, BoxError>,
        index: usize,
    ) -> Result<S, ServeError> {
        let _context = runtime.enter();
        let count = self.workers;
        make_service(Worker { index, count }).map_err(ServeError::Service)
    }
}

/// Waits for a permit before it accepts: connections beyond the limit stay in the backlog.
async fn accept_one(
    listener: &tokio::net::TcpListener,
    permits: &Arc<Semaphore>,
) -> io::Result<Accepted> {
    let permit = Arc::clone(permits).acquire_owned().await;
    let (stream, _) = listener.accept().await?;
    let permit = permit.expect("the semaphore is never closed");
    Ok((stream.into_std()?, permit))
}

fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}
