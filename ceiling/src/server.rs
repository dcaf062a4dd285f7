//! The event loop: one thread waits for all sockets, reads the available bytes, and writes the answers.
//!
//! Sockets are registered edge-triggered: a request costs its share of one wait, one read and one write. A
//! client that does not read its answers is closed.

use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use schema::limits::REQUEST_BODY_MAX_BYTES;
use schema::{fixtures, routes};
use serve::{bind, connections_max};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use slab::Slab;

use crate::Config;
use crate::answer::Answers;
use crate::backend::Progress;
use crate::database::Database;
use crate::event::{Side, Source, register};
use crate::message::MessageEnd;
use crate::pool::{Pool, User};
use crate::upstream::Upstream;

/// Most events of one wait.
const EVENTS_MAX: usize = 256;

/// Bytes of one read: every answer of the contract and nearly every request.
const READ_BYTES: usize = 16 * 1024;

/// Most bytes that are kept of an incomplete request: the contract's longest body with its head.
const REQUEST_MAX_BYTES: usize = 2 * REQUEST_BODY_MAX_BYTES;

/// The listening server.
pub struct Server {
    epoll: OwnedFd,
    listener: TcpListener,
    clients: Slab<Client>,
    clients_max: usize,
    pools: [Pool; 2],
    answers: Answers,
    end: MessageEnd,
    /// Buffer for an answer, kept for its memory.
    output: Vec<u8>,
}

struct Client {
    stream: TcpStream,
    state: State,
    /// An incomplete request, or the requests after the one in progress.
    unread: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// Its next request is awaited.
    Ready,
    /// It waits for a connection to this backend.
    Waiting(Side),
    /// It uses this connection to this backend.
    Calling(Side, usize),
}

impl Server {
    /// Listens. From this call on, SIGTERM and SIGINT end the process at once with exit code 0. Backends are
    /// connected on demand.
    ///
    /// # Errors
    /// The port cannot be listened on, or the system refuses epoll or a signal handler.
    pub fn new(config: &Config) -> io::Result<Self> {
        let listener = bind(config.listen.host, config.listen.port)?;
        listener.set_nonblocking(true)?;
        for signal in [SIGTERM, SIGINT] {
            flag::register_conditional_shutdown(signal, 0, Arc::new(AtomicBool::new(true)))?;
        }
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, Source::Listener.encode(), EventFlags::IN)?;
        let upstream = Upstream::new(&config.upstream);
        let database = Database::new(&config.database)?;
        Ok(Self {
            epoll,
            listener,
            clients: Slab::new(),
            clients_max: connections_max(),
            pools: [
                Pool::new(upstream, config.upstream_pool_size),
                Pool::new(database, config.database_pool_size),
            ],
            answers: Answers::new(),
            end: MessageEnd::new(),
            output: Vec::new(),
        })
    }

    /// Serves until the process ends.
    ///
    /// # Errors
    /// The system refuses to wait for events or to accept.
    pub fn run(mut self) -> io::Result<()> {
        eprintln!(
            "ceiling: not a contender: fixed answers, no checks, the user is always {}; address={}",
            fixtures::profile().id,
            self.listener.local_addr()?
        );
        let mut events = Vec::with_capacity(EVENTS_MAX);
        let mut input = vec![0; READ_BYTES];
        loop {
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in events.drain(..) {
                let closing = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
                let closed = { event.flags }.intersects(closing);
                match Source::decode(event.data) {
                    Source::Listener => self.accept()?,
                    Source::Client(index) => self.read_client(index, closed, &mut input),
                    Source::Backend(side, index) => {
                        self.read_backend(side, index, closed, &mut input);
                    }
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // The client closed before it was accepted.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            if self.clients.len() == self.clients_max {
                continue;
            }
            stream.set_nonblocking(true)?;
            let entry = self.clients.vacant_entry();
            register(&self.epoll, &stream, Source::Client(entry.key()))?;
            entry.insert(Client {
                stream,
                state: State::Ready,
                unread: Vec::new(),
            });
        }
    }

    /// Reads the available bytes of a client. If it has `closed`, reads up to its end: no other event follows.
    fn read_client(&mut self, index: usize, closed: bool, input: &mut [u8]) {
        while let Some(client) = self.clients.get_mut(index) {
            match client.stream.read(input) {
                Ok(count @ 1..) => {
                    if client.unread.is_empty() && client.state == State::Ready {
                        self.process(index, &input[..count]);
                    } else {
                        client.unread.extend_from_slice(&input[..count]);
                        self.process_unread(index);
                    }
                    if count < input.len() && !closed {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Ok(0) | Err(_) => self.close_client(index),
            }
        }
    }

    /// Answers the complete requests in `bytes`, up to one that calls a backend, and keeps the rest.
    fn process(&mut self, index: usize, mut bytes: &[u8]) {
        while let Some(client) = self.clients.get_mut(index) {
            let length = match client.state {
                State::Ready if !bytes.is_empty() => self.end.of_request(bytes),
                _ => None,
            };
            let Some(length) = length else {
                client.unread.extend_from_slice(bytes);
                if client.unread.len() > REQUEST_MAX_BYTES {
                    self.close_client(index);
                }
                return;
            };
            let (request, rest) = bytes.split_at(length);
            self.answer(index, request);
            bytes = rest;
        }
    }

    fn process_unread(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index) else {
            return;
        };
        if client.state == State::Ready && !client.unread.is_empty() {
            let unread = mem::take(&mut client.unread);
            self.process(index, &unread);
        }
    }

    fn answer(&mut self, index: usize, request: &[u8]) {
        let fixed = match route(request) {
            ("GET", routes::INFO) => &self.answers.info,
            ("POST", routes::MOVIES) => &self.answers.movies,
            ("GET", routes::USERS_ME) => return self.call(index, Side::Database),
            ("GET", routes::CATALOG | routes::PROXY) => return self.call(index, Side::Upstream),
            ("GET", routes::HEALTH) => &self.answers.health,
            _ => &self.answers.not_found,
        };
        if !write(&self.clients[index].stream, fixed) {
            self.close_client(index);
        }
    }

    /// Sends a request to a backend for a client, which waits if every connection is in use.
    fn call(&mut self, index: usize, side: Side) {
        let pool = &mut self.pools[side as usize];
        if !pool.has_room() {
            pool.waiting.push_back(index);
            self.clients[index].state = State::Waiting(side);
            return;
        }
        let epoll = &self.epoll;
        let register =
            |stream: &TcpStream, index| register(epoll, stream, Source::Backend(side, index));
        let sent = pool.take(register).and_then(|connection| {
            if write(&pool.connections[connection].stream, pool.backend.request()) {
                return Ok(connection);
            }
            pool.close(connection);
            Err(ErrorKind::BrokenPipe.into())
        });
        match sent {
            Ok(connection) => {
                pool.connections[connection].user = User::Client(index);
                self.clients[index].state = State::Calling(side, connection);
            }
            Err(error) => {
                eprintln!("ceiling: cannot call the {side:?}: {error}");
                if !write(&self.clients[index].stream, pool.backend.unavailable()) {
                    self.close_client(index);
                }
            }
        }
    }

    /// Reads the available bytes of a backend. If it has `closed`, reads up to its end.
    fn read_backend(&mut self, side: Side, index: usize, closed: bool, input: &mut [u8]) {
        loop {
            let pool = &mut self.pools[side as usize];
            let Some(connection) = pool.connections.get_mut(index) else {
                return;
            };
            let count = match connection.stream.read(input) {
                // Data on an idle connection means that the backend is closing it.
                Ok(count @ 1..) if connection.user != User::None => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Ok(_) | Err(_) => return self.close_backend(side, index),
            };
            let received = &mut connection.received;
            let progress = if received.is_empty() {
                pool.backend.parse(&input[..count], &mut self.output)
            } else {
                received.extend_from_slice(&input[..count]);
                pool.backend.parse(received, &mut self.output)
            };
            match progress {
                Progress::Partial if received.is_empty() => {
                    received.extend_from_slice(&input[..count]);
                }
                Progress::Partial => {}
                Progress::Complete => {
                    received.clear();
                    let user = mem::replace(&mut connection.user, User::None);
                    pool.idle.push(index);
                    let mut answer = mem::take(&mut self.output);
                    self.reply(user, &answer);
                    answer.clear();
                    self.output = answer;
                    self.serve_waiting(side);
                }
                Progress::Invalid => return self.close_backend(side, index),
            }
            if count < input.len() && !closed {
                return;
            }
        }
    }

    /// Closes a connection to a backend; its client gets the backend's error.
    fn close_backend(&mut self, side: Side, index: usize) {
        let pool = &mut self.pools[side as usize];
        let user = pool.close(index);
        let unavailable = pool.backend.unavailable().to_vec();
        self.reply(user, &unavailable);
        self.serve_waiting(side);
    }

    /// Answers the client that used a connection to a backend.
    fn reply(&mut self, user: User, answer: &[u8]) {
        let User::Client(index) = user else { return };
        let client = &mut self.clients[index];
        client.state = State::Ready;
        if write(&client.stream, answer) {
            self.process_unread(index);
        } else {
            self.close_client(index);
        }
    }

    /// Gives free connections to the waiting clients.
    fn serve_waiting(&mut self, side: Side) {
        while self.pools[side as usize].has_room() {
            let Some(index) = self.pools[side as usize].waiting.pop_front() else {
                return;
            };
            let client = self.clients.get_mut(index);
            if let Some(client) = client.filter(|client| client.state == State::Waiting(side)) {
                client.state = State::Ready;
                self.call(index, side);
                self.process_unread(index);
            }
        }
    }

    fn close_client(&mut self, index: usize) {
        let client = self.clients.remove(index);
        if let State::Calling(side, connection) = client.state {
            self.pools[side as usize].connections[connection].user = User::Closed;
        }
    }
}

/// Returns true if the socket accepted all bytes at once.
fn write(mut stream: &TcpStream, bytes: &[u8]) -> bool {
    stream.write(bytes).is_ok_and(|count| count == bytes.len())
}

/// Returns method and path of a request, empty if it has none.
fn route(request: &[u8]) -> (&str, &str) {
    let mut words = request.splitn(3, |byte| *byte == b' ');
    let mut word = || str::from_utf8(words.next().unwrap_or_default()).unwrap_or_default();
    (word(), word())
}
