//! A server in a thread of the caller's process: what a test or a tool starts and stops.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;
use tower::BoxError;

use crate::{HttpService, ServeError, Server, Worker};

/// A running server; dropping it drains it and waits for its end.
#[derive(Debug)]
pub struct Background {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
}

impl Server {
    /// As [`Server::run`], in a thread of its own.
    ///
    /// # Errors
    /// The listener has no address, or the system refuses a thread. What goes wrong later is told
    /// by [`Background::stop`].
    pub fn spawn<S: HttpService>(
        self,
        listener: TcpListener,
        make_service: impl Fn(Worker) -> Result<S, BoxError> + Clone + Send + 'static,
    ) -> io::Result<Background> {
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().spawn(move || {
            self.run(listener, make_service, async {
                // A dropped handle stops the server as much as one that says so.
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
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Drains it and waits for its end.
    ///
    /// # Errors
    /// What ended it before.
    pub fn stop(mut self) -> Result<(), ServeError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), ServeError> {
        drop(self.stop.take());
        match self.thread.take().map(JoinHandle::join) {
            Some(Err(_)) => Err(ServeError::WorkerDied),
            Some(Ok(result)) => result,
            None => Ok(()),
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!(%error, "a server in the background ended early");
        }
    }
}
