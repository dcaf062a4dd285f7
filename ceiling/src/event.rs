//! The sources of epoll's events.

use std::io;

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::{AsFd, OwnedFd};

/// A backend: the index of its pool.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    Upstream = 0,
    Database = 1,
}

/// The source of an event, encoded as the number that the kernel returns with it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Source {
    Listener,
    Client(usize),
    Backend(Side, usize),
}

impl Source {
    const INDEX_BITS: u32 = 32;

    pub(crate) fn encode(self) -> EventData {
        let (kind, index) = match self {
            Self::Listener => (0, 0),
            Self::Client(index) => (1, index),
            Self::Backend(Side::Upstream, index) => (2, index),
            Self::Backend(Side::Database, index) => (3, index),
        };
        EventData::new_u64(kind << Self::INDEX_BITS | index as u64)
    }

    pub(crate) fn decode(data: EventData) -> Self {
        let data = data.u64();
        let index = (data & u64::from(u32::MAX)) as usize;
        match data >> Self::INDEX_BITS {
            0 => Self::Listener,
            1 => Self::Client(index),
            2 => Self::Backend(Side::Upstream, index),
            _ => Self::Backend(Side::Database, index),
        }
    }
}

/// Registers a socket for its data and its end.
pub(crate) fn register(epoll: &OwnedFd, socket: impl AsFd, source: Source) -> io::Result<()> {
    let flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
    Ok(epoll::add(epoll, socket, source.encode(), flags)?)
}
