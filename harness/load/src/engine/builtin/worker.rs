//! One thread of the engine: its connections, the epoll that waits for them, and its arrivals.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::thread::set_current_timer_slack;

use super::DEADLINE;
use super::arrivals::Arrivals;
use super::connection::{Connection, Received, State};
use super::control::Control;
use super::traffic::{Exchange, Failure, Traffic};

/// Time between two searches for exceeded deadlines. In closed loop a lost connection is opened again
/// by such a search: a contender that loses every connection gets at most ten requests per second on
/// each.
const SEARCH_INTERVAL: Duration = Duration::from_millis(100);

/// Timer slack in open loop; the system's default of 50 µs would be visible in latencies.
const TIMER_SLACK_NS: NonZeroU64 = NonZeroU64::MIN;

/// The way in which requests get their connections.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Connections {
    /// All are open from the start and used in turn; a request waits until one is free.
    Fixed,
    /// Like the pool of an HTTP client: the one that was used last is used first, and a connection is
    /// opened where none is idle.
    OnDemand,
}

/// A thread's work. Nothing is allocated per request, unless the traffic does.
pub(super) struct Worker<'a, T: Traffic> {
    control: &'a Control,
    traffic: T,
    policy: Connections,
    /// None in closed loop.
    arrivals: Option<Arrivals>,
    connections: Vec<Connection<T::Request>>,
    epoll: OwnedFd,
    /// In open loop, connections that wait for a request: open ones in the order of their last
    /// use, and closed ones.
    idle: VecDeque<usize>,
    closed: Vec<usize>,
}

impl<'a, T: Traffic> Worker<'a, T> {
    /// Creates a worker; without `arrivals` it runs in closed loop.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn new(
        control: &'a Control,
        policy: Connections,
        connections: Vec<Connection<T::Request>>,
        arrivals: Option<Arrivals>,
        traffic: T,
    ) -> Result<Self> {
        let worker = Self {
            control,
            traffic,
            policy,
            arrivals,
            idle: VecDeque::with_capacity(connections.len()),
            closed: Vec::with_capacity(connections.len()),
            connections,
            epoll: epoll::create(CreateFlags::CLOEXEC).context("creating an epoll")?,
        };
        for (index, connection) in worker.connections.iter().enumerate() {
            if connection.state == State::Idle {
                worker.add(index, EventFlags::IN)?;
            }
        }
        Ok(worker)
    }

    /// Makes load until it is told to stop; returns the traffic.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn run(mut self) -> Result<T> {
        if self.arrivals.is_some() {
            set_current_timer_slack(Some(TIMER_SLACK_NS)).context("setting the timer slack")?;
        }
        for index in 0..self.connections.len() {
            self.release(index)?;
        }
        let mut events = Vec::with_capacity(self.connections.len());
        let mut next_search = Instant::now() + SEARCH_INTERVAL;
        while !self.control.is_stopped() {
            self.send_due()?;
            self.wait(&mut events, next_search)?;
            for event in events.drain(..) {
                self.on_ready(event.data.u64() as usize)?;
            }
            let now = Instant::now();
            if now >= next_search {
                self.search(now)?;
                next_search = now + SEARCH_INTERVAL;
            }
        }
        Ok(self.traffic)
    }

    /// Waits for an event, the next arrival if a connection is free for it, or `latest`.
    fn wait(&self, events: &mut Vec<Event>, latest: Instant) -> Result<()> {
        let has_free = !self.idle.is_empty()
            || !self.closed.is_empty()
            || self.policy == Connections::OnDemand;
        let due = self.arrivals.as_ref().filter(|_| has_free);
        let wake = due.map_or(latest, |arrivals| arrivals.due().min(latest));
        let time = wake.saturating_duration_since(Instant::now());
        let time = Timespec {
            tv_sec: time.as_secs() as i64,
            tv_nsec: time.subsec_nanos().into(),
        };
        match epoll::wait(&self.epoll, spare_capacity(events), Some(&time)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error).context("waiting for responses"),
        }
    }

    /// Dispatches the due requests of an open loop.
    fn send_due(&mut self) -> Result<()> {
        while let Some(arrivals) = &self.arrivals {
            let (due, now) = (arrivals.due(), Instant::now());
            if due > now {
                break;
            }
            let is_too_late = self.policy == Connections::Fixed && now - due > DEADLINE;
            let free = if is_too_late { None } else { self.take() };
            if let Some(index) = free {
                self.advance();
                self.dispatch(index, now, Some(due))?;
            } else if is_too_late || self.policy == Connections::OnDemand {
                self.advance();
                self.traffic.unsent(due);
            } else {
                break;
            }
        }
        Ok(())
    }

    fn advance(&mut self) {
        if let Some(arrivals) = &mut self.arrivals {
            arrivals.advance();
        }
    }

    /// Takes a free connection, an open one if there is any.
    fn take(&mut self) -> Option<usize> {
        loop {
            let open = match self.policy {
                Connections::Fixed => self.idle.pop_front(),
                Connections::OnDemand => self.idle.pop_back(),
            };
            let Some(index) = open else {
                return self.closed.pop();
            };
            if self.is_current(index) {
                return Some(index);
            }
            self.close(index);
            self.closed.push(index);
        }
    }

    /// Returns false for a connection from before [`Control::drop_connections`].
    fn is_current(&self, index: usize) -> bool {
        self.connections[index].generation == self.control.generation()
    }

    /// Assigns the next request to a free connection and sends it, or opens the connection first. In
    /// closed loop it is not `due` at a certain time.
    fn dispatch(&mut self, index: usize, now: Instant, due: Option<Instant>) -> Result<()> {
        let scheduled = due.unwrap_or(now);
        let request = self.traffic.next(scheduled);
        let connection = &mut self.connections[index];
        connection.assign(request, now, scheduled);
        match connection.state {
            State::Closed => self.connect(index),
            _ => self.send(index),
        }
    }

    fn connect(&mut self, index: usize) -> Result<()> {
        let connection = &mut self.connections[index];
        connection.generation = self.control.generation();
        match connection.connect(self.control.target()) {
            Ok(()) => self.add(index, EventFlags::OUT),
            Err(failure) => self.fail(index, failure),
        }
    }

    fn send(&mut self, index: usize) -> Result<()> {
        let connection = &mut self.connections[index];
        let was_partial = connection.state == State::Sending;
        // A connection without a request is never sent on.
        let Some(request) = connection.request.take() else {
            return Ok(());
        };
        connection.send(self.traffic.bytes(&request));
        connection.request = Some(request);
        match (was_partial, connection.state == State::Sending) {
            (true, false) => self.modify(index, EventFlags::IN),
            (false, true) => self.modify(index, EventFlags::OUT),
            _ => Ok(()),
        }
    }

    fn on_ready(&mut self, index: usize) -> Result<()> {
        let connection = &mut self.connections[index];
        match connection.state {
            State::Closed => Ok(()),
            State::Connecting => match connection.finish_connect() {
                Ok(()) => {
                    if self.arrivals.is_none() {
                        connection.scheduled = Instant::now();
                    }
                    self.modify(index, EventFlags::IN)?;
                    self.send(index)
                }
                Err(failure) => self.fail(index, failure),
            },
            State::Sending => self.send(index),
            State::Waiting => self.receive(index),
            State::Idle => {
                if connection.has_data() {
                    self.traffic.unexpected_data(Instant::now());
                }
                // Otherwise the server closed an idle connection, which is not an error.
                self.close(index);
                self.idle.retain(|idle| *idle != index);
                self.release(index)
            }
        }
    }

    fn receive(&mut self, index: usize) -> Result<()> {
        let connection = &mut self.connections[index];
        let Some(request) = connection.request.take() else {
            return Ok(());
        };
        let (scheduled, dispatched) = (connection.scheduled, connection.dispatched);
        let is_repeated = connection.is_repeated;
        match connection.receive(self.traffic.header(&request)) {
            Received::Partial => {
                connection.request = Some(request);
                return Ok(());
            }
            Received::Failed(failure) => {
                connection.request = Some(request);
                return self.fail(index, failure);
            }
            Received::Response { response, closes } => {
                let exchange = Exchange {
                    scheduled,
                    dispatched,
                    ended: Instant::now(),
                    is_repeated,
                    result: Ok(response),
                };
                self.traffic.ended(request, &exchange);
                connection.state = State::Idle;
                if closes || !self.control.keeps_alive() || !self.is_current(index) {
                    self.close(index);
                }
            }
        }
        self.release(index)
    }

    /// Gives a connection without a request its next one in closed loop, or queues it in open loop.
    fn release(&mut self, index: usize) -> Result<()> {
        if self.arrivals.is_none() {
            return self.dispatch(index, Instant::now(), None);
        }
        match self.connections[index].state {
            State::Closed => self.closed.push(index),
            _ => self.idle.push_back(index),
        }
        Ok(())
    }

    /// Ends the request of a connection without a response, or sends it again.
    fn fail(&mut self, index: usize, failure: Failure) -> Result<()> {
        self.close(index);
        let connection = &mut self.connections[index];
        let may_be_closed_idle = matches!(failure, Failure::Broken(_));
        if may_be_closed_idle && connection.repeat() {
            return self.connect(index);
        }
        let exchange = Exchange {
            scheduled: connection.scheduled,
            dispatched: connection.dispatched,
            ended: Instant::now(),
            is_repeated: connection.is_repeated,
            result: Err(failure),
        };
        if let Some(request) = connection.request.take() {
            self.traffic.ended(request, &exchange);
        }
        // In closed loop the next search opens the connection again.
        match self.arrivals {
            Some(_) => self.release(index),
            None => Ok(()),
        }
    }

    /// Searches for requests beyond their deadline, and in closed loop for closed connections.
    fn search(&mut self, now: Instant) -> Result<()> {
        for index in 0..self.connections.len() {
            let connection = &self.connections[index];
            match connection.state {
                State::Closed if self.arrivals.is_none() => self.dispatch(index, now, None)?,
                State::Closed | State::Idle => {}
                State::Connecting | State::Sending | State::Waiting => {
                    if now.saturating_duration_since(connection.dispatched) > DEADLINE {
                        self.fail(index, Failure::Timeout)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn close(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        if let Some(stream) = connection.stream() {
            // Fails if it was not added yet.
            let _ = epoll::delete(&self.epoll, stream);
        }
        connection.close();
    }

    fn add(&self, index: usize, flags: EventFlags) -> Result<()> {
        let data = EventData::new_u64(index as u64);
        match self.connections[index].stream() {
            Some(stream) => {
                epoll::add(&self.epoll, stream, data, flags).context("adding to an epoll")
            }
            None => Ok(()),
        }
    }

    fn modify(&self, index: usize, flags: EventFlags) -> Result<()> {
        let data = EventData::new_u64(index as u64);
        match self.connections[index].stream() {
            Some(stream) => {
                epoll::modify(&self.epoll, stream, data, flags).context("changing an epoll")
            }
            None => Ok(()),
        }
    }
}
