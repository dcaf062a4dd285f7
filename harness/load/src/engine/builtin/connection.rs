//! One connection of the engine: a non-blocking socket, its request in flight and its buffer.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use super::traffic::{Failure, Response};
use testbed::http1;

/// Initial size of the buffer: responses of the contract take less than 1 KiB.
const BUFFER_BYTES: usize = 16 * 1024;

/// Longest response.
const RESPONSE_MAX_BYTES: usize = 1024 * 1024;

/// Time for each of the first connections.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    Closed,
    Connecting,
    /// Open, without a request.
    Idle,
    Sending,
    /// The request is sent; its response is not complete.
    Waiting,
}

/// The result of a read.
pub(super) enum Received<'a> {
    /// The response is not complete.
    Partial,
    Response {
        response: Response<'a>,
        /// The connection cannot be used again.
        closes: bool,
    },
    Failed(Failure),
}

/// A connection that is opened again whenever it has ended.
#[derive(Debug)]
pub(super) struct Connection<R> {
    stream: Option<TcpStream>,
    pub(super) state: State,
    /// The request in flight.
    pub(super) request: Option<R>,
    pub(super) is_repeated: bool,
    /// When the request was due; in closed loop when it was sent.
    pub(super) scheduled: Instant,
    pub(super) dispatched: Instant,
    /// Value of the control's generation when the connection was opened.
    pub(super) generation: u64,
    /// A response was received on this connection.
    is_reused: bool,
    /// Bytes of the request that are sent.
    sent: usize,
    buffer: Vec<u8>,
    /// Bytes of the buffer that are received.
    filled: usize,
}

impl<R> Connection<R> {
    pub(super) fn closed() -> Self {
        let now = Instant::now();
        Self {
            stream: None,
            state: State::Closed,
            request: None,
            is_repeated: false,
            scheduled: now,
            dispatched: now,
            generation: 0,
            is_reused: false,
            sent: 0,
            buffer: Vec::new(),
            filled: 0,
        }
    }

    /// Opens a connection and waits until it is established.
    ///
    /// # Errors
    /// The server does not accept it in time.
    pub(super) fn open(target: SocketAddr) -> Result<Self> {
        let connect = || {
            let stream = TcpStream::connect_timeout(&target, CONNECT_TIMEOUT)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            Ok::<_, io::Error>(stream)
        };
        let stream = connect().with_context(|| format!("connecting to {target}"))?;
        Ok(Self {
            stream: Some(stream),
            state: State::Idle,
            ..Self::closed()
        })
    }

    /// Starts to open the connection; [`Connection::finish_connect`] returns the outcome.
    pub(super) fn connect(&mut self, target: SocketAddr) -> Result<(), Failure> {
        let connect = || {
            let kind = Type::STREAM.nonblocking();
            let socket = Socket::new(Domain::for_address(target), kind, Some(Protocol::TCP))?;
            socket.set_tcp_nodelay(true)?;
            match socket.connect(&target.into()) {
                Err(error) if Errno::from_io_error(&error) != Some(Errno::INPROGRESS) => Err(error),
                _ => Ok(socket),
            }
        };
        let socket = connect().map_err(|error| Failure::Connect(name_of(&error)))?;
        self.stream = Some(socket.into());
        self.state = State::Connecting;
        self.is_reused = false;
        Ok(())
    }

    pub(super) fn finish_connect(&mut self) -> Result<(), Failure> {
        let stream = self.stream.as_ref();
        match stream.map_or(Ok(None), TcpStream::take_error) {
            Ok(None) => {
                self.state = State::Idle;
                Ok(())
            }
            Ok(Some(error)) | Err(error) => Err(Failure::Connect(name_of(&error))),
        }
    }

    pub(super) fn close(&mut self) {
        if let Some(stream) = self.stream.take() {
            // Fails if the server has closed it already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.state = State::Closed;
    }

    pub(super) fn stream(&self) -> Option<&TcpStream> {
        self.stream.as_ref()
    }

    /// Assigns the next request.
    pub(super) fn assign(&mut self, request: R, now: Instant, scheduled: Instant) {
        self.request = Some(request);
        self.is_repeated = false;
        self.dispatched = now;
        self.scheduled = scheduled;
        self.sent = 0;
        self.filled = 0;
    }

    /// Prepares to send the request again on a new connection; false if it must not be. The server
    /// may close an idle connection while the request is on its way (RFC 9112, section 9.3.1).
    pub(super) fn repeat(&mut self) -> bool {
        let may_repeat = self.is_reused && self.filled == 0 && !self.is_repeated;
        self.is_repeated |= may_repeat;
        self.sent = 0;
        may_repeat
    }

    /// Writes the rest of the request.
    pub(super) fn send(&mut self, request: &[u8]) {
        let Some(stream) = &mut self.stream else {
            return;
        };
        match stream.write(&request[self.sent..]) {
            Ok(written) => self.sent += written,
            Err(error) if is_transient(&error) => {}
            // The server may have responded before it closed the connection: the read decides.
            Err(_) => self.sent = request.len(),
        }
        self.state = match self.sent == request.len() {
            true => State::Waiting,
            false => State::Sending,
        };
    }

    /// Reads once and parses the response, with `header` as the name of a header to look for.
    pub(super) fn receive(&mut self, header: Option<&str>) -> Received<'_> {
        if self.filled >= RESPONSE_MAX_BYTES {
            return Received::Failed(Failure::Invalid("length"));
        }
        if self.filled == self.buffer.len() {
            self.buffer.resize((self.filled * 2).max(BUFFER_BYTES), 0);
        }
        let Some(stream) = &mut self.stream else {
            return Received::Partial;
        };
        let ended = match stream.read(&mut self.buffer[self.filled..]) {
            Ok(read) => {
                self.filled += read;
                read == 0
            }
            Err(error) if is_transient(&error) => return Received::Partial,
            Err(error) => return Received::Failed(Failure::Broken(name_of(&error))),
        };
        let buffer = &mut self.buffer[..self.filled];
        match http1::response(buffer, ended, header) {
            Ok(Some(parsed)) if parsed.end < buffer.len() => {
                Received::Failed(Failure::Invalid("length"))
            }
            Ok(Some(parsed)) => {
                self.is_reused = true;
                Received::Response {
                    closes: parsed.closes || ended,
                    response: Response {
                        status: parsed.status,
                        is_json: parsed.is_json,
                        has_header: parsed.has_header,
                        head: &buffer[parsed.start..parsed.body.start],
                        body: &buffer[parsed.body],
                        length: parsed.end,
                    },
                }
            }
            Ok(None) if ended => Received::Failed(Failure::Broken("connection closed")),
            Ok(None) => Received::Partial,
            Err(name) => Received::Failed(Failure::Invalid(name)),
        }
    }

    /// Returns true if there is data to read.
    pub(super) fn has_data(&self) -> bool {
        let stream = self.stream.as_ref();
        stream.is_some_and(|stream| stream.peek(&mut [0]).is_ok_and(|read| read > 0))
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

fn name_of(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused",
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => "connection reset",
        ErrorKind::TimedOut => "timeout",
        _ => "connection failed",
    }
}
