//! The connections to a far side, and who waits for one.

use std::collections::VecDeque;
use std::io;
use std::net::TcpStream;
use std::num::NonZeroUsize;

use slab::Slab;

use crate::far::Far;

/// At most so many connections to one far side, each opened when it is first wanted.
pub(crate) struct Pool {
    pub(crate) far: Far,
    pub(crate) links: Slab<Link>,
    /// Links that nobody uses; the last one used is the next.
    pub(crate) idle: Vec<usize>,
    /// Clients in the order they came. One that has gone may stand here still.
    pub(crate) waiting: VecDeque<usize>,
    size: usize,
}

/// A connection to a far side.
pub(crate) struct Link {
    pub(crate) stream: TcpStream,
    pub(crate) work: Work,
    /// What has come of an answer that is not whole yet.
    pub(crate) came: Vec<u8>,
}

/// Whom a link works for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Work {
    Nobody,
    Client(usize),
    /// A client that has gone: the answer is read and thrown away.
    Gone,
}

impl Pool {
    pub(crate) fn new(far: Far, size: NonZeroUsize) -> Self {
        Self {
            far,
            links: Slab::new(),
            idle: Vec::new(),
            waiting: VecDeque::new(),
            size: size.get(),
        }
    }

    /// Whether a client need not wait.
    pub(crate) fn has_room(&self) -> bool {
        !self.idle.is_empty() || self.links.len() < self.size
    }

    /// A link that nobody uses, opened by `register` with its index if there is none.
    pub(crate) fn take(
        &mut self,
        register: impl FnOnce(&TcpStream, usize) -> io::Result<()>,
    ) -> io::Result<usize> {
        if let Some(index) = self.idle.pop() {
            return Ok(index);
        }
        let stream = self.far.open()?;
        stream.set_nonblocking(true)?;
        let entry = self.links.vacant_entry();
        let index = entry.key();
        register(&stream, index)?;
        entry.insert(Link {
            stream,
            work: Work::Nobody,
            came: Vec::new(),
        });
        Ok(index)
    }

    /// Closes a link: whom it worked for.
    pub(crate) fn close(&mut self, index: usize) -> Work {
        self.idle.retain(|idle| *idle != index);
        self.links.remove(index).work
    }
}
