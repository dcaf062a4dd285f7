//! An open loop in the background, for as long as its owner wants.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::arrivals::Arrivals;
use super::connection::Connection;
use super::control::Control;
use super::traffic::Traffic;
use super::worker::{Connections, Worker};

/// A load of so many requests per second by one thread, on connections that are opened on demand as
/// those of an HTTP client's pool. It stops when this is dropped.
#[derive(Debug)]
pub struct OpenLoop<T> {
    control: Arc<Control>,
    /// None once it has been joined.
    thread: Option<JoinHandle<Result<T>>>,
}

impl<T: Traffic + Send + 'static> OpenLoop<T> {
    /// Starts to send. At most `connections` requests are in flight; those beyond are reported to
    /// [`Traffic::unsent`].
    ///
    /// # Errors
    /// The rate is not above 0, or the system refuses a thread.
    pub fn start(
        target: SocketAddr,
        requests_per_sec: f64,
        connections: usize,
        traffic: T,
    ) -> Result<Self> {
        ensure!(
            requests_per_sec.is_finite() && requests_per_sec > 0.0,
            "{requests_per_sec} requests per second: a rate is above 0"
        );
        let control = Arc::new(Control::new(target));
        let worker_control = Arc::clone(&control);
        let run = move || {
            let mut slots = Vec::new();
            slots.resize_with(connections, Connection::closed);
            let arrivals = Arrivals::new(Instant::now(), requests_per_sec, 1, 0);
            let policy = Connections::OnDemand;
            Worker::new(&worker_control, policy, slots, Some(arrivals), traffic)?.run()
        };
        let thread = thread::Builder::new().name("load".to_owned());
        let thread = thread.spawn(run).context("starting the load's thread")?;
        Ok(Self {
            control,
            thread: Some(thread),
        })
    }

    /// Stops the load and returns its traffic. Requests in flight are abandoned.
    ///
    /// # Errors
    /// The system's, at any time since the start.
    pub fn stop(mut self) -> Result<T> {
        self.control.stop();
        let thread = self.thread.take().context("the load has been stopped")?;
        thread.join().expect("a load never panics")
    }
}

impl<T> OpenLoop<T> {
    /// Returns the address that new connections are opened to.
    #[must_use]
    pub fn target(&self) -> SocketAddr {
        self.control.target()
    }

    /// Opens new connections to this address; those that are open stay in use.
    pub fn set_target(&self, target: SocketAddr) {
        self.control.set_target(target);
    }

    /// Closes each connection before its next request.
    pub fn drop_connections(&self) {
        self.control.drop_connections();
    }

    /// Sends every request on a connection of its own, or keeps connections alive again.
    pub fn set_keep_alive(&self, keep_alive: bool) {
        self.control.set_keep_alive(keep_alive);
        if !keep_alive {
            self.control.drop_connections();
        }
    }
}

impl<T> Drop for OpenLoop<T> {
    fn drop(&mut self) {
        self.control.stop();
        if let Some(thread) = self.thread.take() {
            // Its owner has no more interest in the result.
            let _ = thread.join();
        }
    }
}
