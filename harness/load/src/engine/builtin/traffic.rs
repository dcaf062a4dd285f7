//! The requests of a load and the judgement of their responses: the part that a user of the engine
//! brings along.

use std::time::{Duration, Instant};

/// A request generator that also observes how each request ended. Each thread of the engine has one
/// of its own.
pub trait Traffic {
    /// A request, with whatever it takes to judge its response.
    type Request;

    /// Returns the next request. It was scheduled for this time; in closed loop that is now.
    fn next(&mut self, scheduled: Instant) -> Self::Request;

    /// Returns the bytes of a request on the wire. They do not change between two calls.
    fn bytes<'a>(&'a self, request: &'a Self::Request) -> &'a [u8];

    /// Returns the lower-case name of the header that [`Response::has_header`] is about.
    fn header(&self, _request: &Self::Request) -> Option<&'static str> {
        None
    }

    /// Observes the end of a request: called once for each request, but for those that are in flight
    /// when the load stops.
    fn ended(&mut self, request: Self::Request, exchange: &Exchange<'_>);

    /// Observes a scheduled request that was not sent because no connection was free for it. No
    /// request was generated.
    fn unsent(&mut self, scheduled: Instant);

    /// Observes data on an idle connection that is not the end of the connection.
    fn unexpected_data(&mut self, at: Instant);
}

/// A request that has ended.
#[derive(Debug)]
pub struct Exchange<'a> {
    /// Its latency counts from here: in open loop the time that it was due, in closed loop the time
    /// that it was sent.
    pub scheduled: Instant,
    /// When it was dispatched to a connection, which may have been opened for it.
    pub dispatched: Instant,
    /// When its response was complete, or its failure was noticed.
    pub ended: Instant,
    /// It was sent again because the server had closed an idle connection (RFC 9112, section 9.3.1).
    pub is_repeated: bool,
    pub result: Result<Response<'a>, Failure>,
}

impl Exchange<'_> {
    /// Returns the time from its schedule to its end.
    #[must_use]
    pub fn latency(&self) -> Duration {
        self.ended.saturating_duration_since(self.scheduled)
    }
}

/// A complete response.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    pub status: u16,
    /// The content type is JSON, with or without parameters.
    pub is_json: bool,
    /// The header that [`Traffic::header`] names is present, or none is named.
    pub has_header: bool,
    /// The head as it was received.
    pub head: &'a [u8],
    /// The body, its chunks joined.
    pub body: &'a [u8],
    /// Bytes on the wire.
    pub length: usize,
}

/// The reason why a request has no response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// No connection could be opened.
    Connect(&'static str),
    /// The connection ended before the response did.
    Broken(&'static str),
    /// The response was not complete within [`super::DEADLINE`].
    Timeout,
    /// The bytes received are not one HTTP/1 response.
    Invalid(&'static str),
}

impl Failure {
    /// Returns its name in results, such as `connection reset`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect(name) | Self::Broken(name) | Self::Invalid(name) => name,
            Self::Timeout => "timeout",
        }
    }
}
