//! The loop: one thread waits for every socket at once, reads what has come, and writes the answer.
//!
//! Sockets are watched edge-triggered: a request costs its share of one wait, one read and one
//! write, and to wait for the next costs nothing. A client that does not read its answers is let go.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use schema::limits::REQUEST_BODY_MAX_BYTES;
use schema::{fixtures, routes};
use serve::{bind, connections_max};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::pipe;
use slab::Slab;

use crate::Config;
use crate::answer::Answers;
use crate::database::Database;
use crate::far::{Far, Progress};
use crate::message::Ends;
use crate::pool::{Pool, Work};
use crate::upstream::Upstream;

/// Events that one wait takes.
const EVENTS_MAX: usize = 256;

/// What one read takes: every answer of the contract and nearly every request.
const READ_BYTES: usize = 16 * 1024;

/// Most that is kept of a request that is not all there: the contract's longest body with its head.
const REQUEST_MAX_BYTES: usize = 2 * REQUEST_BODY_MAX_BYTES;

/// The limit, listening.
pub struct Server {
    epoll: OwnedFd,
    listener: TcpListener,
    /// Readable once the process was told to stop.
    stop: UnixStream,
    clients: Slab<Client>,
    clients_max: usize,
    pools: [Pool; 2],
    answers: Answers,
    ends: Ends,
    /// The answer that is being made; kept so that its memory is.
    output: Vec<u8>,
}

struct Client {
    stream: TcpStream,
    state: State,
    /// A request that is not all there, or the next one while an answer is awaited.
    unread: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// Its next request is awaited.
    Asks,
    /// It waits for a link to this side.
    Waits(Side),
    /// This link works for it.
    Has(Side, usize),
}

/// A far side: the index of its pool.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Side {
    Upstream = 0,
    Database = 1,
}

/// What an event is about; the kernel hands it back as a number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Token {
    Stop,
    Listener,
    Client(usize),
    Link(Side, usize),
}

impl Token {
    const INDEX_BITS: u32 = 32;

    fn data(self) -> EventData {
        let (kind, index) = match self {
            Self::Stop => (0, 0),
            Self::Listener => (1, 0),
            Self::Client(index) => (2, index),
            Self::Link(Side::Upstream, index) => (3, index),
            Self::Link(Side::Database, index) => (4, index),
        };
        EventData::new_u64(kind << Self::INDEX_BITS | index as u64)
    }

    fn of(data: EventData) -> Self {
        let data = data.u64();
        let index = (data & u64::from(u32::MAX)) as usize;
        match data >> Self::INDEX_BITS {
            0 => Self::Stop,
            1 => Self::Listener,
            2 => Self::Client(index),
            3 => Self::Link(Side::Upstream, index),
            _ => Self::Link(Side::Database, index),
        }
    }
}

impl Server {
    /// Listens, and catches SIGTERM and SIGINT from now on. The far sides are called when they are
    /// first asked for.
    ///
    /// # Errors
    /// The port cannot be listened on, or the system refuses what the loop needs.
    pub fn new(config: &Config) -> io::Result<Self> {
        let listener = bind(config.listen.host, config.listen.port).map_err(io::Error::other)?;
        listener.set_nonblocking(true)?;
        let (stop, stopping) = UnixStream::pair()?;
        for signal in [SIGTERM, SIGINT] {
            pipe::register(signal, stopping.try_clone()?)?;
        }
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &stop, Token::Stop.data(), EventFlags::IN)?;
        epoll::add(&epoll, &listener, Token::Listener.data(), EventFlags::IN)?;
        let upstream = Far::Upstream(Box::new(Upstream::new(&config.upstream)));
        let database = Far::Database(Box::new(Database::new(&config.database)?));
        Ok(Self {
            epoll,
            listener,
            stop,
            clients: Slab::new(),
            clients_max: connections_max(),
            pools: [
                Pool::new(upstream, config.upstream_pool_size),
                Pool::new(database, config.database_pool_size),
            ],
            answers: Answers::new(),
            ends: Ends::new(),
            output: Vec::new(),
        })
    }

    /// Serves until the process is told to stop; then ends at once, whatever is in flight.
    ///
    /// # Errors
    /// The system's.
    pub fn run(mut self) -> io::Result<()> {
        eprintln!(
            "limit: no contender but the physical limit: fixed answers, nothing is checked, the user is \
             always {}; address={}",
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
                let ended = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
                let ends = { event.flags }.intersects(ended);
                match Token::of(event.data) {
                    Token::Stop => {
                        drop(self.stop);
                        return Ok(());
                    }
                    Token::Listener => self.accept()?,
                    Token::Client(index) => self.hear_client(index, ends, &mut input),
                    Token::Link(side, index) => self.hear_link(side, index, ends, &mut input),
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // A client that has gone again, before anybody served it.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            if self.clients.len() == self.clients_max {
                continue;
            }
            stream.set_nonblocking(true)?;
            let entry = self.clients.vacant_entry();
            watch(&self.epoll, &stream, Token::Client(entry.key()))?;
            entry.insert(Client {
                stream,
                state: State::Asks,
                unread: Vec::new(),
            });
        }
    }

    /// Reads what a client has sent. If it `ends`, its end is read too: no other event tells of it.
    fn hear_client(&mut self, index: usize, ends: bool, input: &mut [u8]) {
        while let Some(client) = self.clients.get_mut(index) {
            match client.stream.read(input) {
                Ok(count @ 1..) => {
                    if client.unread.is_empty() && client.state == State::Asks {
                        self.hear(index, &input[..count]);
                    } else {
                        client.unread.extend_from_slice(&input[..count]);
                        self.hear_again(index);
                    }
                    if count < input.len() && !ends {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Ok(0) | Err(_) => self.close_client(index),
            }
        }
    }

    /// Answers the requests that are all there, up to one whose answer comes from afar.
    fn hear(&mut self, index: usize, mut bytes: &[u8]) {
        while let Some(client) = self.clients.get_mut(index) {
            let length = match client.state {
                State::Asks if !bytes.is_empty() => self.ends.request(bytes),
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

    /// As `hear`, with what is kept of a client.
    fn hear_again(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index) else {
            return;
        };
        if client.state == State::Asks && !client.unread.is_empty() {
            let unread = std::mem::take(&mut client.unread);
            self.hear(index, &unread);
        }
    }

    fn answer(&mut self, index: usize, request: &[u8]) {
        let fixed = match path(request) {
            (b"GET", path) if path == routes::INFO.as_bytes() => &self.answers.info,
            (b"POST", path) if path == routes::MOVIES.as_bytes() => &self.answers.movies,
            (b"GET", path) if path == routes::USERS_ME.as_bytes() => {
                return self.ask(index, Side::Database);
            }
            (b"GET", path)
                if path == routes::CATALOG.as_bytes() || path == routes::PROXY.as_bytes() =>
            {
                return self.ask(index, Side::Upstream);
            }
            (b"GET", path) if path == routes::HEALTH.as_bytes() => &self.answers.health,
            _ => &self.answers.not_found,
        };
        if !wrote(&self.clients[index].stream, fixed) {
            self.close_client(index);
        }
    }

    /// Asks a far side for a client; the client waits if every link is busy.
    fn ask(&mut self, index: usize, side: Side) {
        let pool = &mut self.pools[side as usize];
        if !pool.has_room() {
            pool.waiting.push_back(index);
            self.clients[index].state = State::Waits(side);
            return;
        }
        let epoll = &self.epoll;
        let register = |stream: &TcpStream, link| watch(epoll, stream, Token::Link(side, link));
        let asked = pool.take(register).and_then(|link| {
            if wrote(&pool.links[link].stream, pool.far.question()) {
                return Ok(link);
            }
            pool.close(link);
            Err(ErrorKind::BrokenPipe.into())
        });
        match asked {
            Ok(link) => {
                pool.links[link].work = Work::Client(index);
                self.clients[index].state = State::Has(side, link);
            }
            Err(error) => {
                eprintln!("limit: asking the {side:?}: {error}");
                if !wrote(&self.clients[index].stream, pool.far.unavailable()) {
                    self.close_client(index);
                }
            }
        }
    }

    /// Reads what a far side has sent. If it `ends`, its end is read too.
    fn hear_link(&mut self, side: Side, index: usize, ends: bool, input: &mut [u8]) {
        loop {
            let pool = &mut self.pools[side as usize];
            let Some(link) = pool.links.get_mut(index) else {
                return;
            };
            let count = match link.stream.read(input) {
                // What comes without a question is a farewell.
                Ok(count @ 1..) if link.work != Work::Nobody => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Ok(_) | Err(_) => return self.break_link(side, index),
            };
            let progress = if link.came.is_empty() {
                pool.far.answer(&input[..count], &mut self.output)
            } else {
                link.came.extend_from_slice(&input[..count]);
                pool.far.answer(&link.came, &mut self.output)
            };
            match progress {
                Progress::Partial if link.came.is_empty() => {
                    link.came.extend_from_slice(&input[..count]);
                }
                Progress::Partial => {}
                Progress::Whole => {
                    link.came.clear();
                    let work = std::mem::replace(&mut link.work, Work::Nobody);
                    pool.idle.push(index);
                    let answer = std::mem::take(&mut self.output);
                    self.tell(work, &answer);
                    self.output = answer;
                    self.output.clear();
                    self.serve_waiting(side);
                }
                Progress::Broken => return self.break_link(side, index),
            }
            if count < input.len() && !ends {
                return;
            }
        }
    }

    /// Closes a link; whom it worked for is told so.
    fn break_link(&mut self, side: Side, index: usize) {
        let pool = &mut self.pools[side as usize];
        let work = pool.close(index);
        let unavailable = pool.far.unavailable().to_vec();
        self.tell(work, &unavailable);
        self.serve_waiting(side);
    }

    /// Answers the client that a link worked for.
    fn tell(&mut self, work: Work, answer: &[u8]) {
        let Work::Client(index) = work else { return };
        let client = &mut self.clients[index];
        client.state = State::Asks;
        if wrote(&client.stream, answer) {
            self.hear_again(index);
        } else {
            self.close_client(index);
        }
    }

    /// Gives the clients that wait what there is room for.
    fn serve_waiting(&mut self, side: Side) {
        while self.pools[side as usize].has_room() {
            let Some(index) = self.pools[side as usize].waiting.pop_front() else {
                return;
            };
            let client = self.clients.get_mut(index);
            if let Some(client) = client.filter(|client| client.state == State::Waits(side)) {
                client.state = State::Asks;
                self.ask(index, side);
                self.hear_again(index);
            }
        }
    }

    fn close_client(&mut self, index: usize) {
        let client = self.clients.remove(index);
        let State::Has(side, link) = client.state else {
            return;
        };
        let pool = &mut self.pools[side as usize];
        if pool.far.closes_what_nobody_waits_for() {
            pool.close(link);
            self.serve_waiting(side);
        } else {
            pool.links[link].work = Work::Gone;
        }
    }
}

/// Watches a socket for what comes and for its end.
fn watch(epoll: &OwnedFd, socket: impl AsFd, token: Token) -> io::Result<()> {
    let flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
    Ok(epoll::add(epoll, socket, token.data(), flags)?)
}

/// Whether the socket took all of it at once.
fn wrote(mut stream: &TcpStream, bytes: &[u8]) -> bool {
    stream.write(bytes).is_ok_and(|count| count == bytes.len())
}

/// Method and path of a request; both empty if it has none.
fn path(request: &[u8]) -> (&[u8], &[u8]) {
    let mut words = request.splitn(3, |byte| *byte == b' ');
    let method = words.next().unwrap_or_default();
    (method, words.next().unwrap_or_default())
}
