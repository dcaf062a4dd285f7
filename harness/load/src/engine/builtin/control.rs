//! The switches of a running load, shared by its threads and its owner.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
pub(super) struct Control {
    stopped: AtomicBool,
    keeps_alive: AtomicBool,
    target: Mutex<SocketAddr>,
    /// Number of times that all connections were dropped.
    generation: AtomicU64,
}

impl Control {
    pub(super) fn new(target: SocketAddr) -> Self {
        Self {
            stopped: AtomicBool::new(false),
            keeps_alive: AtomicBool::new(true),
            target: Mutex::new(target),
            generation: AtomicU64::new(0),
        }
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Returns the address that new connections are opened to.
    pub(super) fn target(&self) -> SocketAddr {
        *self.target_lock()
    }

    pub(super) fn set_target(&self, target: SocketAddr) {
        *self.target_lock() = target;
    }

    fn target_lock(&self) -> MutexGuard<'_, SocketAddr> {
        self.target.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes each connection before its next request.
    pub(super) fn drop_connections(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    pub(super) fn set_keep_alive(&self, keeps_alive: bool) {
        self.keeps_alive.store(keeps_alive, Ordering::Relaxed);
    }

    pub(super) fn keeps_alive(&self) -> bool {
        self.keeps_alive.load(Ordering::Relaxed)
    }
}
