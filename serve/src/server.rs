//! The server: its bounds, its threads, and the loop that accepts.

use std::io;
use std::iter;
use std::net::TcpListener;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::{join, select};
use tower::BoxError;

use crate::HttpService;
use crate::bind::connections_max;
use crate::worker::{Accepted, Deadlines, SETTLE, Worker, work};

/// Pause after the system refused to hand over a connection (out of file descriptors or memory).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Time for a request's head, and for the silence before it on a connection kept alive. Longer
/// than clients keep idle connections in their pools, so that it is they who close first.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);

/// Time for the requests in flight to finish after the stop signal: longer than the deadlines of
/// the contract (5 s for a database connection and 5 s for its statement).
const DRAIN_TIMEOUT: Duration = Duration::from_secs(12);

/// Why a server stopped other than by its stop signal.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The system refused a runtime, a thread or the listener.
    #[error("cannot serve: {0}")]
    Io(#[from] io::Error),
    /// A worker could not make its service.
    #[error("cannot start: {0}")]
    Service(BoxError),
    /// A worker thread ended before it was told to.
    #[error("a worker thread died")]
    WorkerDied,
}

/// A server and its bounds.
#[derive(Clone, Copy, Debug)]
pub struct Server {
    /// Worker threads.
    pub workers: NonZeroUsize,
    /// Connections served at once; more wait in the listener's backlog.
    pub connections_max: usize,
    /// Time for a request's head after the last answer, and for the client to take that answer.
    pub head_timeout: Duration,
    /// Time for requests in flight to finish after the stop signal.
    pub drain_timeout: Duration,
}

impl Server {
    /// A server with the suite's bounds. Raises the process's limit of open files as far as the
    /// system allows.
    #[must_use]
    pub fn new(workers: NonZeroUsize) -> Self {
        Self {
            workers,
            connections_max: connections_max(),
            head_timeout: HEAD_TIMEOUT,
            drain_timeout: DRAIN_TIMEOUT,
        }
    }

    /// Serves until `stop` is ready, then drains: closes the listener, tells idle connections to
    /// close, lets requests in flight finish. Blocks the calling thread, which is the first worker:
    /// with no other, the process has a single thread, and the C library takes no locks.
    ///
    /// `make_service` is called once per worker, in that worker's runtime; an error that the
    /// service returns resets the connection it came from.
    ///
    /// # Errors
    /// [`ServeError`]; nothing was served if a worker could not make its service.
    pub fn run<S: HttpService>(
        self,
        listener: TcpListener,
        make_service: impl Fn(Worker) -> Result<S, BoxError> + Clone + Send + 'static,
        stop: impl Future<Output = ()>,
    ) -> Result<(), ServeError> {
        let deadlines = Deadlines {
            head: self.head_timeout,
            drain: self.drain_timeout,
        };
        let runtime = runtime()?;
        let (deal, dealt) = mpsc::unbounded_channel();
        let worker = |index| Worker {
            index,
            count: self.workers,
        };
        let service = make_in(&runtime, &make_service, worker(0))?;
        let threads = (1..self.workers.get())
            .map(|index| WorkerThread::start(worker(index), make_service.clone(), deadlines))
            .collect::<Result<Vec<_>, _>>()?;
        let (deals, done): (Vec<_>, Vec<_>) = threads
            .into_iter()
            .map(|thread| (thread.deal, thread.done))
            .unzip();
        let deals = iter::once(deal).chain(deals).collect();
        // The runtime lives until the drain is over: a second stop signal is heard on it.
        let result = runtime.block_on(async {
            let (accepted, ()) = join!(
                self.accept(listener, deals, stop),
                work(dealt, service, deadlines)
            );
            for done in done {
                done.await.map_err(|_| ServeError::WorkerDied)?;
            }
            accepted
        });
        // Name look-ups in flight must not hold up the exit.
        runtime.shutdown_background();
        result
    }

    /// Accepts connections and deals them to the workers in turn until `stop` is ready; the workers drain
    /// when it returns.
    async fn accept(
        &self,
        listener: TcpListener,
        deals: Vec<UnboundedSender<Accepted>>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), ServeError> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let places = Arc::new(Semaphore::new(self.connections_max));
        let mut turns = deals.iter().cycle();
        let mut deal = |connection| {
            let deal = turns.next().ok_or(ServeError::WorkerDied)?;
            deal.send(connection).map_err(|_| ServeError::WorkerDied)
        };
        let mut stop = pin!(async {
            stop.await;
            tokio::time::sleep(SETTLE).await;
        });
        loop {
            let accepted = select! {
                () = &mut stop => break,
                accepted = accept_one(&listener, &places) => accepted,
            };
            match accepted {
                Ok(connection) => deal(connection)?,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections, trying again");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // Who waits in the backlog was told that it is connected; closing the listener would reset
        // it, with the request that it has sent.
        let listener = listener.into_std()?;
        while let Ok(place) = Arc::clone(&places).try_acquire_owned()
            && let Ok((stream, _)) = listener.accept()
        {
            let _ = stream.set_nodelay(true);
            stream.set_nonblocking(true)?;
            deal((stream, place))?;
        }
        Ok(())
    }
}

/// Waits for a free place before it accepts: what is too much stays in the backlog, unharmed.
async fn accept_one(
    listener: &tokio::net::TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<Accepted> {
    let place = Arc::clone(places).acquire_owned().await;
    let place = place.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Of no effect on single responses, but a body in several frames must not wait
                // for the client's delayed acknowledgement. A client that is gone by now is found
                // out when it is served.
                let _ = stream.set_nodelay(true);
                return Ok((stream.into_std()?, place));
            }
            // The client was gone before it was accepted: nothing is wrong here.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A worker with a thread of its own: the way to deal it a connection, and the news of its end. It
/// drains when there is no way to it any more.
struct WorkerThread {
    deal: UnboundedSender<Accepted>,
    done: oneshot::Receiver<()>,
}

impl WorkerThread {
    /// Returns when the worker has made its service.
    fn start<S: HttpService>(
        worker: Worker,
        make_service: impl Fn(Worker) -> Result<S, BoxError> + Send + 'static,
        deadlines: Deadlines,
    ) -> Result<Self, ServeError> {
        let (deal, dealt) = mpsc::unbounded_channel();
        let (started, has_started) = oneshot::channel();
        let (finish, done) = oneshot::channel();
        let runtime = runtime()?;
        thread::Builder::new()
            .name(format!("worker-{}", worker.index))
            .spawn(move || {
                let service = match make_in(&runtime, &make_service, worker) {
                    Ok(service) => service,
                    Err(error) => {
                        let _ = started.send(Err(error));
                        return;
                    }
                };
                let _ = started.send(Ok(()));
                runtime.block_on(work(dealt, service, deadlines));
                // Name look-ups in flight must not hold up the exit.
                runtime.shutdown_background();
                let _ = finish.send(());
            })?;
        has_started
            .blocking_recv()
            .map_err(|_| ServeError::WorkerDied)??;
        Ok(Self { deal, done })
    }
}

fn make_in<S: HttpService>(
    runtime: &Runtime,
    make_service: impl Fn(Worker) -> Result<S, BoxError>,
    worker: Worker,
) -> Result<S, ServeError> {
    let _context = runtime.enter();
    make_service(worker).map_err(ServeError::Service)
}

fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}
