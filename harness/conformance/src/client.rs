//! The HTTP client of the checks: a request on a connection of its own, several on a kept one, or many
//! connections at once.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::vec;

use anyhow::anyhow;
use testbed::raw::{self, Answer};

use crate::request::{Request, Url};
use crate::verdict::{Failure, Verdict};

/// Connections of the public harness's load, and of every burst of a check.
pub(crate) const CONNECTIONS: usize = 100;

/// Timeout of a response that nothing delays: longer than any deadline of the contract.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// The actual behaviour of a contender that does not respond in time.
const NO_RESPONSE: &str = "no response";

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

    /// Sends a request on a connection of its own, with a timeout for the whole exchange.
    pub(crate) fn send_within(&self, request: Request, timeout: Duration) -> Verdict<Exchange> {
        Connection::new(self, timeout).send(request)
    }

    /// Creates a connection that is kept.
    pub(crate) fn connection(&self) -> Connection<'_> {
        Connection::new(self, TIMEOUT)
    }

    /// Sends each list on a connection of its own, one request after the other, all lists at the same
    /// time. Responses have the places of their requests.
    pub(crate) fn send_at_once(
        &self,
        lists: Vec<Vec<Request>>,
    ) -> Vec<Vec<Result<Exchange, Failure>>> {
        let lists = lists.into_iter().map(|requests| List {
            connection: Some(self.connection()),
            requests: requests.into_iter(),
            exchanges: Vec::new(),
        });
        let mut lists: Vec<_> = lists.collect();
        for list in &mut lists {
            // Connecting is not part of the burst; the first request reports its failure.
            let _ = list.connection.as_mut().map(Connection::open);
        }
        lists.iter_mut().for_each(List::send_next);
        loop {
            let waiting = lists.iter_mut().filter(|list| list.connection.is_some());
            let mut waiting: Vec<_> = waiting.collect();
            if waiting.is_empty() {
                break;
            }
            let ready = are_ready(&waiting);
            let ready = waiting.iter_mut().zip(ready).filter(|(_, ready)| *ready);
            ready.for_each(|(list, _)| list.progress());
        }
        lists.into_iter().map(|list| list.exchanges).collect()
    }

    /// Sends a request once for each of these lengths, in two parts of which the first has this length.
    pub(crate) fn send_in_two(
        &self,
        request: &Request,
        lengths: &[usize],
    ) -> Vec<Result<Exchange, Failure>> {
        let bytes = request.bytes();
        let connections = lengths.iter().map(|length| {
            let mut connection = self.connection();
            connection.start_with(request.clone(), &bytes[..*length]);
            connection
        });
        let mut connections: Vec<_> = connections.collect();
        sleep(PART_PAUSE);
        for (connection, length) in connections.iter_mut().zip(lengths) {
            let raw = connection.raw.as_mut();
            // A response that came before this part is the exchange's.
            let _ = raw.map(|raw| raw.send(&bytes[*length..]));
        }
        connections.iter_mut().map(Connection::finish).collect()
    }

    /// Sends requests at once on one connection. There are fewer responses if the contender closes it.
    pub(crate) fn send_pipelined(&self, requests: &[Request]) -> Result<Vec<Exchange>, Failure> {
        let bytes: Vec<_> = requests.iter().flat_map(Request::bytes).collect();
        let mut connection = self.connection();
        let mut exchanges = Vec::new();
        let mut rest = &bytes[..];
        for request in requests {
            let request = request.clone().raw(bytes.clone());
            connection.start_with(request, std::mem::take(&mut rest));
            exchanges.push(connection.finish()?);
            if connection.raw.is_none() {
                break;
            }
        }
        Ok(exchanges)
    }
}

/// Time for a contender to read the first part of a request that comes in two.
const PART_PAUSE: Duration = Duration::from_millis(60);

/// Requests of one connection of a burst.
struct List<'a> {
    /// None once the requests have ended.
    connection: Option<Connection<'a>>,
    requests: vec::IntoIter<Request>,
    exchanges: Vec<Result<Exchange, Failure>>,
}

impl List<'_> {
    fn send_next(&mut self) {
        match (self.requests.next(), &mut self.connection) {
            (Some(request), Some(connection)) => connection.start(request),
            _ => self.connection = None,
        }
    }

    fn progress(&mut self) {
        let connection = self.connection.as_mut();
        let Some(exchange) = connection.and_then(Connection::progress) else {
            return;
        };
        // The requests after one without a response fail at once: each would wait as long.
        let silent = exchange.as_ref().err().cloned();
        self.exchanges.push(exchange);
        if let Some(failure) = silent.filter(|failure| failure.actual == NO_RESPONSE) {
            let failures = self.requests.by_ref().map(|_| Err(failure.clone()));
            self.exchanges.extend(failures);
        }
        self.send_next();
    }
}

/// Waits until a list can progress, and says for each if it can.
fn are_ready(lists: &[&mut List<'_>]) -> Vec<bool> {
    let connections = || lists.iter().filter_map(|list| list.connection.as_ref());
    let sockets: Option<Vec<_>> = connections()
        .map(|connection| connection.raw.as_ref())
        .collect();
    let Some(sockets) = sockets else {
        return connections()
            .map(|connection| connection.raw.is_none())
            .collect();
    };
    let left = connections().map(Connection::time_left).min();
    let readable = raw::readable(&sockets, left.unwrap_or_default());
    // Where polling fails, every list blocks in its turn.
    let readable = readable.unwrap_or_else(|_| vec![true; lists.len()]);
    let is_late = connections().map(|connection| connection.time_left().is_zero());
    readable
        .into_iter()
        .zip(is_late)
        .map(|(readable, late)| readable || late)
        .collect()
}

/// A kept connection; a new one is opened where the contender closes it.
pub(crate) struct Connection<'a> {
    client: &'a Client,
    timeout: Duration,
    raw: Option<raw::Connection>,
    pending: Option<Pending>,
}

/// A request in flight.
struct Pending {
    request: Request,
    started: Instant,
    /// The connection was used before, so the contender may have closed it.
    is_kept: bool,
    /// The error of connecting or sending. A response may still come.
    error: Option<anyhow::Error>,
}

impl<'a> Connection<'a> {
    fn new(client: &'a Client, timeout: Duration) -> Self {
        Self {
            client,
            timeout,
            raw: None,
            pending: None,
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
        self.start(request);
        Ok(self.finish()?)
    }

    fn start(&mut self, request: Request) {
        let bytes = request.bytes();
        self.start_with(request, &bytes);
    }

    /// Starts an exchange with these bytes of a request.
    fn start_with(&mut self, request: Request, bytes: &[u8]) {
        let pending = Pending {
            request,
            started: Instant::now(),
            is_kept: self.raw.is_some(),
            error: None,
        };
        self.transmit(pending, bytes);
    }

    fn transmit(&mut self, mut pending: Pending, bytes: &[u8]) {
        let sent = self.open().and_then(|raw| Ok(raw.send(bytes)?));
        pending.error = sent.err();
        self.pending = Some(pending);
    }

    /// Reads the response to the request in flight.
    fn finish(&mut self) -> Result<Exchange, Failure> {
        loop {
            if let Some(exchange) = self.progress() {
                return exchange;
            }
        }
    }

    fn time_left(&self) -> Duration {
        let started = self.pending.as_ref().map(|pending| pending.started);
        let waited = started.map_or(Duration::ZERO, |started| started.elapsed());
        self.timeout.saturating_sub(waited)
    }

    /// Reads once, and returns the exchange if it has ended. A kept connection that the contender has
    /// closed meanwhile is replaced once, as every client does (RFC 9112, 9.3.1).
    fn progress(&mut self) -> Option<Result<Exchange, Failure>> {
        let mut pending = self.pending.take()?;
        let answer = match &mut self.raw {
            Some(raw) => raw.progress(pending.request.is_head()),
            None => Err(anyhow!(raw::CLOSED)),
        };
        let took = pending.started.elapsed();
        match answer {
            Ok(None) => {
                self.pending = Some(pending);
                None
            }
            Ok(Some(answer)) => {
                if answer.closes {
                    self.raw = None;
                }
                let request = pending.request;
                Some(Ok(Exchange {
                    request,
                    answer,
                    took,
                }))
            }
            Err(error) => {
                self.raw = None;
                let error = pending.error.take().unwrap_or(error);
                if pending.is_kept && is_closed(&error) {
                    pending.is_kept = false;
                    let bytes = pending.request.bytes();
                    self.transmit(pending, &bytes);
                    return None;
                }
                Some(Err(self.lost(&pending.request, &error)))
            }
        }
    }

    fn lost(&self, request: &Request, error: &anyhow::Error) -> Failure {
        self.client.lost.store(true, Ordering::Relaxed);
        let expected = format!("a response within {} s", self.timeout.as_secs_f32());
        let actual = match io_kind(error) {
            Some(ErrorKind::WouldBlock | ErrorKind::TimedOut) => NO_RESPONSE.to_owned(),
            _ => format!("{error:#}"),
        };
        Failure::of(request, expected, actual)
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
