//! The interface of the two backends: the upstream and the database.

use std::io::{self, ErrorKind};
use std::net::{TcpStream, ToSocketAddrs};

use schema::limits::UPSTREAM_CONNECT_TIMEOUT;

/// The state of an answer that is being received.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Progress {
    /// More bytes must follow.
    Partial,
    /// The answer is complete, and the client's answer was written.
    Complete,
    /// The answer cannot be understood: the connection must be closed.
    Invalid,
}

/// A service that every request of a route calls.
pub(crate) trait Backend {
    /// Opens a connection. This blocks: for a moment, or for seconds if the backend does not respond.
    fn connect(&mut self) -> io::Result<TcpStream>;

    /// Returns the bytes of a request, always the same.
    fn request(&self) -> &[u8];

    /// Parses all bytes that were received of an answer, and appends the client's answer if it is complete.
    fn parse(&self, received: &[u8], answer: &mut Vec<u8>) -> Progress;

    /// Returns the client's answer for a connection that breaks or cannot be opened.
    fn unavailable(&self) -> &[u8];
}

/// Connects to the first address of `host:port` that accepts.
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
