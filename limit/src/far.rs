//! The far sides: what is asked there on every request, and what of the answer goes back.

use std::io::{self, ErrorKind};
use std::net::{TcpStream, ToSocketAddrs};

use schema::limits::UPSTREAM_CONNECT_TIMEOUT;

use crate::database::Database;
use crate::upstream::Upstream;

/// What has come of an answer.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Progress {
    /// More is to come.
    Partial,
    /// All of it, and what the client is to be told was written.
    Whole,
    /// It cannot be understood: the connection is of no more use.
    Broken,
}

/// One of the two.
pub(crate) enum Far {
    Upstream(Box<Upstream>),
    Database(Box<Database>),
}

impl Far {
    /// Opens a connection that can be asked. This blocks: for a moment, and for seconds if the far
    /// side is reached but says nothing.
    pub(crate) fn open(&mut self) -> io::Result<TcpStream> {
        match self {
            Self::Upstream(upstream) => upstream.open(),
            Self::Database(database) => database.open(),
        }
    }

    /// What is written to ask.
    pub(crate) fn question(&self) -> &[u8] {
        match self {
            Self::Upstream(upstream) => upstream.question(),
            Self::Database(database) => database.question(),
        }
    }

    /// Looks at all that has come of an answer; if that is the whole, writes what the client is told.
    pub(crate) fn answer(&self, came: &[u8], to_client: &mut Vec<u8>) -> Progress {
        match self {
            Self::Upstream(upstream) => upstream.answer(came, to_client),
            Self::Database(database) => database.answer(came, to_client),
        }
    }

    /// What the client is told if the connection breaks or cannot be opened.
    pub(crate) fn unavailable(&self) -> &[u8] {
        match self {
            Self::Upstream(upstream) => upstream.unavailable(),
            Self::Database(database) => database.unavailable(),
        }
    }

    /// Whether a connection whose client has gone is closed rather than its answer awaited: opening
    /// another is cheap for HTTP, while logging in to Postgres hashes thousands of times.
    pub(crate) fn closes_what_nobody_waits_for(&self) -> bool {
        matches!(self, Self::Upstream(_))
    }
}

/// Connects to `host:port`, whichever of the host's addresses takes it.
pub(crate) fn connect(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the host has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, UPSTREAM_CONNECT_TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}
