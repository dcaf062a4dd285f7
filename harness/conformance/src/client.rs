//! How the checks ask the contender: one request on a connection of its own, many on a kept one,
//! or a hundred at once.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use super::request::{Request, Url};
use super::verdict::Failure;
use testbed::raw::{self, Answer, Connection};

/// Connections of the public harness's load, and of every burst of a check.
pub(crate) const CONNECTIONS: usize = 100;

/// Time for an answer that nothing delays: longer than any deadline of the contract.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What is said of an answer that did not come in time.
const NO_ANSWER: &str = "no answer";

/// Stack of a thread that sends requests; the default would be 2 MiB for each of a hundred.
const STACK_BYTES: usize = 256 * 1024;

/// The way to the contender.
#[derive(Clone, Debug)]
pub struct Client {
    address: SocketAddr,
    /// `host:port`, as in its URL.
    host: String,
    /// What every path begins with; empty or `/…`.
    prefix: String,
    /// Whether a request had no answer since it was last asked.
    lost: Arc<AtomicBool>,
}

/// A request and its answer.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub request: Request,
    pub answer: Answer,
    /// From the first byte sent to the last received.
    pub took: Duration,
}

impl Client {
    /// To the contender at this address, whose URL has this host and prefix.
    pub fn new(address: SocketAddr, host: String, prefix: String) -> Self {
        Self {
            address,
            host,
            prefix,
            lost: Arc::default(),
        }
    }

    /// Whether a request had no answer since this was last asked.
    pub fn has_lost_any(&self) -> bool {
        self.lost.swap(false, Ordering::Relaxed)
    }

    /// Whether the head of any answer comes to this request.
    pub fn is_answered(&self, request: &Request) -> bool {
        let ask = || {
            let connection = Connection::open_within(self.address, PATIENCE)?;
            let mut connection = connection.within(PATIENCE);
            connection.send(request.bytes())?;
            connection.head()
        };
        ask().is_ok()
    }

    /// A request of k6's form.
    pub fn request(&self, method: &'static str, path: &str) -> Request {
        let url = Url {
            host: self.host.clone(),
            path: format!("{}{path}", self.prefix),
        };
        Request::new(method, url)
    }

    /// A `GET` of k6's form.
    pub fn get(&self, path: &str) -> Request {
        self.request("GET", path)
    }

    /// Sends a request on a connection of its own.
    pub fn ask(&self, request: Request) -> Result<Exchange, Failure> {
        self.ask_within(request, PATIENCE)
    }

    /// As [`Client::ask`], with another patience for every step.
    pub fn ask_within(&self, request: Request, patience: Duration) -> Result<Exchange, Failure> {
        Conversation::new(self, patience).ask(request)
    }

    /// A connection that is kept.
    pub fn conversation(&self) -> Conversation<'_> {
        Conversation::new(self, PATIENCE)
    }

    /// Sends each list on a connection of its own, one request after the other, all lists at once;
    /// the answers come back in the same places.
    pub fn at_once(&self, lists: Vec<Vec<Request>>) -> Vec<Vec<Result<Exchange, Failure>>> {
        let start = Barrier::new(lists.len());
        let send = |requests: Vec<Request>| {
            let mut conversation = self.conversation();
            // Connecting is not what is at once; who cannot connect is told by the first request.
            let _ = conversation.connect();
            start.wait();
            // Who does not answer one is not waited for again by each of those behind it.
            let mut silence = None;
            let answers = requests.into_iter().map(|request| {
                if let Some(failure) = &silence {
                    return Err(Failure::clone(failure));
                }
                let answer = conversation.ask(request);
                silence = answer
                    .as_ref()
                    .err()
                    .filter(|it| it.came == NO_ANSWER)
                    .cloned();
                answer
            });
            answers.collect::<Vec<_>>()
        };
        thread::scope(|scope| {
            let threads: Vec<_> = lists
                .into_iter()
                .map(|list| {
                    thread::Builder::new()
                        .stack_size(STACK_BYTES)
                        .spawn_scoped(scope, || send(list))
                        .expect("the system gives a thread per connection")
                })
                .collect();
            let joined = threads.into_iter().map(thread::ScopedJoinHandle::join);
            joined
                .map(|answers| answers.expect("a thread that sends does not panic"))
                .collect()
        })
    }
}

/// Requests on one kept connection; a new one is made where the contender closes it.
pub struct Conversation<'a> {
    client: &'a Client,
    patience: Duration,
    connection: Option<Connection>,
}

impl<'a> Conversation<'a> {
    fn new(client: &'a Client, patience: Duration) -> Self {
        Self {
            client,
            patience,
            connection: None,
        }
    }

    fn connect(&mut self) -> anyhow::Result<&mut Connection> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                Connection::open_within(self.client.address, self.patience)?.within(self.patience)
            }
        };
        Ok(self.connection.insert(connection))
    }

    /// Sends a request and reads its answer. A kept connection that the contender has closed in the
    /// meantime is replaced once, as every client does (RFC 9112, 9.3.1).
    pub fn ask(&mut self, request: Request) -> Result<Exchange, Failure> {
        let kept = self.connection.is_some();
        let asked = match self.try_ask(&request) {
            Err(error) if kept && is_closed(&error) => self.try_ask(&request),
            other => other,
        };
        match asked {
            Ok((answer, took)) => Ok(Exchange {
                request,
                answer,
                took,
            }),
            Err(error) => {
                self.client.lost.store(true, Ordering::Relaxed);
                let expected = format!("an answer within {} s", self.patience.as_secs_f32());
                let came = match io_kind(&error) {
                    Some(ErrorKind::WouldBlock | ErrorKind::TimedOut) => NO_ANSWER.to_owned(),
                    _ => format!("{error:#}"),
                };
                Err(Failure::of(&request, expected, came))
            }
        }
    }

    fn try_ask(&mut self, request: &Request) -> anyhow::Result<(Answer, Duration)> {
        let begun = Instant::now();
        let connection = self.connect()?;
        let answer = if request.is_head() {
            connection.send(request.bytes())?;
            connection.head()
        } else {
            // The answer may come before all is sent, and the connection end.
            let sent = connection.send(request.bytes());
            connection
                .answer()
                .map_err(|error| sent.err().map_or(error, Into::into))
        };
        let stays = answer.as_ref().is_ok_and(|answer| {
            let closes = answer
                .header("connection")
                .is_some_and(|value| value == "close");
            !closes && (request.is_head() || answer.is_delimited())
        });
        if !stays {
            self.connection = None;
        }
        Ok((answer?, begun.elapsed()))
    }
}

/// Whether the connection was closed before a byte of an answer came.
fn is_closed(error: &anyhow::Error) -> bool {
    error.to_string() == raw::CLOSED
        || matches!(
            io_kind(error),
            Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
        )
}

/// What the system says went wrong, if it was the system.
fn io_kind(error: &anyhow::Error) -> Option<ErrorKind> {
    let error = error.root_cause().downcast_ref::<io::Error>();
    error.map(io::Error::kind)
}
