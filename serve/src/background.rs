//! A server in a thread of the caller's process, for tests and tools.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;
use tower::BoxError;

use crate::{HttpService, ServeError, Server, Worker};

/// A running server; dropping it drains the server and waits for its end.
#[derive(Debug)]
pub struct Background {
    address: SocketAddr,
    /// Stops the server when it is dropped.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
}

impl Server {
    /// Runs the server like [`Server::run`], in a thread of its own.
    ///
    /// # Errors
    /// The listener has no address, or the system refuses a thread. Later errors are returned by
    /// [`Background::stop`].
    pub fn spawn<S: HttpService>(
        self,
        listener: TcpListener,
        make_service: impl Fn(Worker) -> Result<S, BoxError> + Clone + Send + 'static,
    ) -> io::Result<Background> {
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().spawn(move || {
            self.run(listener, make_service, async {
                let _ = stopped.await;
            })
        })?;
        Ok(Background {
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Background {
    /// Returns the address that the server listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Drains the server and waits for its end.
    ///
    /// # Errors
    /// The error that ended the server before.
    pub fn stop(mut self) -> Result<(), ServeError> {
        self.join()
    }

    fn join(&mut self) -> Result<(), ServeError> {
        drop(self.stop.take());
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(ServeError::WorkerDied),
            None => Ok(()),
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Err(error) = self.join() {
            tracing::error!(%error, "a server in the background ended early");
        }
    }
}
