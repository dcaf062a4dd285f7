//! One connection of the engine: a socket that never blocks, and what has come on it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use testbed::http1::{self, Response};

/// Room for answers to begin with: those of the contract take less than 1 KiB.
const BUFFER_BYTES: usize = 16 * 1024;

/// Longest answer.
const ANSWER_MAX_BYTES: usize = 1024 * 1024;

/// Time for the first connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What a socket that never blocks says while it is being connected.
const IN_PROGRESS: i32 = Errno::INPROGRESS.raw_os_error();

/// What a connection does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    /// Nothing; it is opened again.
    Closed,
    /// It is being opened.
    Connecting,
    /// Nothing is asked.
    Idle,
    /// A request is on its way out.
    Sending,
    /// An answer is awaited.
    Waiting,
}

/// What a read brought.
#[derive(Debug)]
pub(super) enum Came {
    /// Nothing whole.
    Nothing,
    /// A whole answer.
    Answer(Response),
    /// The connection is of no use any more.
    Lost(&'static str),
}

/// A connection to the contender.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) state: State,
    /// Index of the input that was sent last.
    pub(super) input: usize,
    /// When the request was sent, or the connection was asked for.
    pub(super) since: Instant,
    /// When its latency begins to count.
    pub(super) from: Instant,
    /// Bytes of the request that are sent.
    sent: usize,
    buffer: Vec<u8>,
    /// Bytes of the buffer that have come.
    filled: usize,
}

impl Connection {
    /// Opens it, and waits until it is open; it goes on after the input of this index.
    ///
    /// # Errors
    /// Nobody listens there.
    pub(super) fn open(target: SocketAddr, input: usize) -> Result<Self> {
        let connect = || {
            let stream = TcpStream::connect_timeout(&target, CONNECT_TIMEOUT)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            Ok::<_, io::Error>(stream)
        };
        let stream = connect().with_context(|| format!("connecting to {target}"))?;
        let now = Instant::now();
        Ok(Self {
            stream,
            state: State::Idle,
            input,
            since: now,
            from: now,
            sent: 0,
            buffer: vec![0; BUFFER_BYTES],
            filled: 0,
        })
    }

    /// Begins to open it anew, in place of what it was; [`Connection::connected`] tells the rest.
    ///
    /// # Errors
    /// What is said of it.
    pub(super) fn reopen(&mut self, target: SocketAddr) -> Result<(), &'static str> {
        let connect = || {
            let kind = Type::STREAM.nonblocking();
            let socket = Socket::new(Domain::for_address(target), kind, Some(Protocol::TCP))?;
            socket.set_tcp_nodelay(true)?;
            match socket.connect(&target.into()) {
                Err(error) if error.raw_os_error() != Some(IN_PROGRESS) => Err(error),
                _ => Ok(socket),
            }
        };
        let socket = connect().map_err(|error| said_of(&error))?;
        self.stream = socket.into();
        self.state = State::Connecting;
        self.since = Instant::now();
        Ok(())
    }

    /// Ends it.
    pub(super) fn close(&mut self) {
        // Fails if it has ended already.
        let _ = self.stream.shutdown(Shutdown::Both);
        self.state = State::Closed;
    }

    /// Whether it is open now.
    pub(super) fn connected(&mut self) -> Result<(), &'static str> {
        match self.stream.take_error() {
            Ok(None) => {
                self.state = State::Idle;
                Ok(())
            }
            Ok(Some(error)) | Err(error) => Err(said_of(&error)),
        }
    }

    /// Writes what is left of a request: whether all of it is out.
    pub(super) fn send(&mut self, request: &[u8]) -> Result<bool, &'static str> {
        match self.stream.write(&request[self.sent..]) {
            Ok(written) => self.sent += written,
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(said_of(&error)),
        }
        let is_out = self.sent == request.len();
        self.state = if is_out {
            State::Waiting
        } else {
            State::Sending
        };
        Ok(is_out)
    }

    /// Begins the next request and its answer: it is sent now, its latency counts from then.
    pub(super) fn begin(&mut self, now: Instant, from: Instant) {
        self.since = now;
        self.from = from;
        self.sent = 0;
        self.filled = 0;
    }

    /// Reads once, and looks for an answer with a header of this name.
    pub(super) fn receive(&mut self, header: Option<&str>) -> Came {
        if self.filled == self.buffer.len() {
            if self.filled >= ANSWER_MAX_BYTES {
                return Came::Lost("length");
            }
            self.buffer.resize(self.filled * 2, 0);
        }
        let ended = match self.stream.read(&mut self.buffer[self.filled..]) {
            Ok(read) => {
                self.filled += read;
                read == 0
            }
            Err(error) if is_passing(&error) => return Came::Nothing,
            Err(error) => return Came::Lost(said_of(&error)),
        };
        match http1::response(&mut self.buffer[..self.filled], ended, header) {
            Ok(Some(answer)) => Came::Answer(answer),
            Ok(None) if ended => Came::Lost("connection closed"),
            Ok(None) => Came::Nothing,
            Err(kind) => Came::Lost(kind),
        }
    }

    /// The body of an answer that has just come.
    pub(super) fn body(&self, answer: &Response) -> &[u8] {
        &self.buffer[answer.body.clone()]
    }

    /// Whether bytes have come that nobody asked for.
    pub(super) fn has_more(&self) -> bool {
        self.stream.peek(&mut [0]).is_ok_and(|read| read > 0)
    }

    /// Whether bytes have come beyond an answer.
    pub(super) fn is_beyond(&self, answer: &Response) -> bool {
        self.filled > answer.end
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

fn said_of(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused",
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => "connection reset",
        ErrorKind::TimedOut => "timeout",
        _ => "connection failed",
    }
}
