//! The HTTP client of the checks: a request on a connection of its own, several on a kept one, or many
//! connections at once.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use testbed::raw::{self, Answer};

use crate::request::{Request, Url};
use crate::verdict::{Failure, Verdict};

/// Connections of the public harness's load, and of every burst of a check.
pub(crate) const CONNECTIONS: usize = 100;

/// Timeout of a response that nothing delays: longer than any deadline of the contract.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// The actual behaviour of a contender that does not respond in time.
const NO_RESPONSE: &str = "no response";

/// Stack of a thread that sends requests; the default would be 2 MiB for each of a hundred.
const STACK_BYTES: usize = 256 * 1024;

/// A client of the contender.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    /// `host:port`, as in the contender's URL.
    host: String,
    /// The start of every path; empty or `/…`.
    prefix: String,
    /// True if a request had no response since the flag was last read.
    lost: Arc<AtomicBool>,
}

/// A request and its response.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) request: Request,
    pub(crate) answer: Answer,
    /// Time from the first byte sent to the last received.
    pub(crate) took: Duration,
}

impl Client {
    pub(crate) fn new(address: SocketAddr, host: String, prefix: String) -> Self {
        Self {
            address,
            host,
            prefix,
            lost: Arc::default(),
        }
    }

    /// Returns true if a request had no response since the last call.
    pub(crate) fn has_lost_any(&self) -> bool {
        self.lost.swap(false, Ordering::Relaxed)
    }

    /// Returns true if the head of any response comes.
    pub(crate) fn is_answered(&self, request: &Request) -> bool {
        let send = || {
            let connection = raw::Connection::open_within(self.address, TIMEOUT)?;
            let mut connection = connection.within(TIMEOUT);
            connection.send(request.bytes())?;
            connection.head()
        };
        send().is_ok()
    }

    /// Creates a request of k6's form.
    pub(crate) fn request(&self, method: &'static str, path: &str) -> Request {
        let url = Url {
            host: self.host.clone(),
            path: format!("{}{path}", self.prefix),
        };
        Request::new(method, url)
    }

    /// Sends a request on a connection of its own, with a timeout for every step.
    pub(crate) fn send_within(&self, request: Request, timeout: Duration) -> Verdict<Exchange> {
        Ok(Connection::new(self, timeout).try_send(request)?)
    }

    /// Creates a connection that is kept.
    pub(crate) fn connection(&self) -> Connection<'_> {
        Connection::new(self, TIMEOUT)
    }

    /// Sends each list on a connection of its own, one request after the other, all lists at the same
    /// time. Responses have the places of their requests.
    pub(crate) fn send_at_once(&self, lists: Vec<Vec<Request>>) -> Vec<Vec<Verdict<Exchange>>> {
        let start = Barrier::new(lists.len());
        let send = |requests: Vec<Request>| {
            let mut connection = self.connection();
            // Connecting is not part of the burst; the first request reports its failure.
            let _ = connection.open();
            start.wait();
            // The requests after one without a response fail at once: each would wait as long.
            let mut silent = None;
            let exchanges = requests.into_iter().map(|request| -> Verdict<Exchange> {
                if let Some(failure) = &silent {
                    return Err(Failure::clone(failure).into());
                }
                let sent = connection.try_send(request);
                silent = sent.as_ref().err().cloned();
                silent.take_if(|failure| failure.actual != NO_RESPONSE);
                Ok(sent?)
            });
            exchanges.collect::<Vec<_>>()
        };
        thread::scope(|scope| {
            let spawn = |list| {
                let thread = thread::Builder::new().stack_size(STACK_BYTES);
                let thread = thread.spawn_scoped(scope, || send(list));
                thread.expect("the system gives a thread per connection")
            };
            let threads: Vec<_> = lists.into_iter().map(spawn).collect();
            let joined = threads.into_iter().map(thread::ScopedJoinHandle::join);
            joined
                .map(|sent| sent.expect("a thread that sends does not panic"))
                .collect()
        })
    }
}

/// A kept connection; a new one is opened where the contender closes it.
pub(crate) struct Connection<'a> {
    client: &'a Client,
    timeout: Duration,
    raw: Option<raw::Connection>,
}

impl<'a> Connection<'a> {
    fn new(client: &'a Client, timeout: Duration) -> Self {
        Self {
            client,
            timeout,
            raw: None,
        }
    }

    fn open(&mut self) -> anyhow::Result<&mut raw::Connection> {
        let raw = match self.raw.take() {
            Some(raw) => raw,
            None => raw::Connection::open_within(self.client.address, self.timeout)?
                .within(self.timeout),
        };
        Ok(self.raw.insert(raw))
    }

    /// Sends a request and reads its response.
    pub(crate) fn send(&mut self, request: Request) -> Verdict<Exchange> {
        Ok(self.try_send(request)?)
    }

    /// A kept connection that the contender has closed meanwhile is replaced once, as every client does
    /// (RFC 9112, 9.3.1).
    fn try_send(&mut self, request: Request) -> Result<Exchange, Failure> {
        let is_kept = self.raw.is_some();
        let sent = match self.send_once(&request) {
            Err(error) if is_kept && is_closed(&error) => self.send_once(&request),
            other => other,
        };
        match sent {
            Ok((answer, took)) => Ok(Exchange {
                request,
                answer,
                took,
            }),
            Err(error) => {
                self.client.lost.store(true, Ordering::Relaxed);
                let expected = format!("a response within {} s", self.timeout.as_secs_f32());
                let actual = match io_kind(&error) {
                    Some(ErrorKind::WouldBlock | ErrorKind::TimedOut) => NO_RESPONSE.to_owned(),
                    _ => format!("{error:#}"),
                };
                Err(Failure::of(&request, expected, actual))
            }
        }
    }

    fn send_once(&mut self, request: &Request) -> anyhow::Result<(Answer, Duration)> {
        let started = Instant::now();
        let connection = self.open()?;
        let answer = if request.is_head() {
            connection.send(request.bytes())?;
            connection.head()
        } else {
            // The response may come before all is sent, and the connection be closed.
            let sent = connection.send(request.bytes());
            let answer = connection.answer();
            answer.map_err(|error| sent.err().map_or(error, Into::into))
        };
        let is_kept = answer.as_ref().is_ok_and(|answer| {
            let closes = answer.header("connection") == Some("close");
            !closes && (request.is_head() || answer.is_delimited())
        });
        if !is_kept {
            self.raw = None;
        }
        Ok((answer?, started.elapsed()))
    }
}

/// Returns true if the connection was closed before the first byte of a response.
fn is_closed(error: &anyhow::Error) -> bool {
    let kinds = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
    error.to_string() == raw::CLOSED || io_kind(error).is_some_and(|kind| kinds.contains(&kind))
}

fn io_kind(error: &anyhow::Error) -> Option<ErrorKind> {
    let error = error.root_cause().downcast_ref::<io::Error>();
    error.map(io::Error::kind)
}
