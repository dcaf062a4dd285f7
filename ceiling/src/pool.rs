//! The connections to a backend, and the clients that wait for one.

use std::collections::VecDeque;
use std::io;
use std::net::TcpStream;
use std::num::NonZeroUsize;

use slab::Slab;

use crate::backend::Backend;

/// A limited number of connections to one backend, each opened on demand.
pub(crate) struct Pool {
    pub(crate) backend: Box<dyn Backend>,
    pub(crate) connections: Slab<Connection>,
    /// Unused connections; the last one used is the next.
    pub(crate) idle: Vec<usize>,
    /// Waiting clients in order of arrival, including some that have closed.
    pub(crate) waiting: VecDeque<usize>,
    size: usize,
}

/// A connection to a backend.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) user: User,
    /// The received part of an incomplete answer.
    pub(crate) received: Vec<u8>,
}

/// The user of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum User {
    None,
    Client(usize),
    /// A client that has closed: the answer is discarded.
    Closed,
}

impl Pool {
    pub(crate) fn new(backend: impl Backend + 'static, size: NonZeroUsize) -> Self {
        Self {
            backend: Box::new(backend),
            connections: Slab::new(),
            idle: Vec::new(),
            waiting: VecDeque::new(),
            size: size.get(),
        }
    }

    /// Returns true if a client need not wait.
    pub(crate) fn has_room(&self) -> bool {
        !self.idle.is_empty() || self.connections.len() < self.size
    }

    /// Takes an unused connection, or opens one and calls `register` with its index.
    pub(crate) fn take(
        &mut self,
        register: impl FnOnce(&TcpStream, usize) -> io::Result<()>,
    ) -> io::Result<usize> {
        if let Some(index) = self.idle.pop() {
            return Ok(index);
        }
        let stream = self.backend.connect()?;
        stream.set_nonblocking(true)?;
        let entry = self.connections.vacant_entry();
        let index = entry.key();
        register(&stream, index)?;
        entry.insert(Connection {
            stream,
            user: User::None,
            received: Vec::new(),
        });
        Ok(index)
    }

    /// Closes a connection and returns its user.
    pub(crate) fn close(&mut self, index: usize) -> User {
        self.idle.retain(|idle| *idle != index);
        self.connections.remove(index).user
    }
}
