//! One thread of the engine, and its share of the connections.

use std::borrow::Cow;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::thread::set_current_timer_slack;

use super::connection::{Came, Connection, State};
use super::schedule::Schedule;
use super::tally::Tally;
use crate::engine::Load;
use testbed::http1::Response;

/// Time for an answer, and in open loop for a due request to find a free connection. Longer than
/// any deadline of the contract: who keeps those is never cut off.
const DEADLINE: Duration = Duration::from_secs(10);

/// How often lost connections are opened again and deadlines are looked at: a contender that loses
/// every connection is not asked for more than ten on each in a second.
const ROUND: Duration = Duration::from_millis(100);

/// Of so many answers whose length is that of an earlier right one, the body of one is read.
const SAMPLE: u32 = 64;

/// What a timer may be late by in open loop; the system's default of 50 µs would be seen.
const TIMER_SLACK_NS: NonZeroU64 = NonZeroU64::MIN;

/// A thread's work. Nothing is allocated per request.
#[derive(Debug)]
pub(super) struct Worker<'a> {
    load: &'a Load<'a>,
    connections: Vec<Connection>,
    epoll: OwnedFd,
    /// None in closed loop.
    schedule: Option<Schedule>,
    tally: Tally,
    /// Length of the last right body, for each input.
    lengths: Vec<Option<usize>>,
    /// Answers since a body was read.
    unread: u32,
}

impl<'a> Worker<'a> {
    /// Of these connections, all open; with a schedule in open loop.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn new(
        load: &'a Load<'a>,
        connections: Vec<Connection>,
        schedule: Option<Schedule>,
        tally: Tally,
    ) -> Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC).context("making an epoll")?;
        let worker = Self {
            load,
            connections,
            epoll,
            schedule,
            tally,
            lengths: vec![None; load.inputs.len()],
            unread: 0,
        };
        for index in 0..worker.connections.len() {
            worker.add(index, EventFlags::IN)?;
        }
        Ok(worker)
    }

    /// Makes load until it is told to stop.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn run(mut self, stop: &AtomicBool) -> Result<Tally> {
        if self.schedule.is_some() {
            set_current_timer_slack(Some(TIMER_SLACK_NS)).context("setting the timer slack")?;
        }
        for index in 0..self.connections.len() {
            self.free(index)?;
        }
        let mut events = Vec::with_capacity(self.connections.len());
        let mut round = Instant::now() + ROUND;
        while !stop.load(Ordering::Relaxed) {
            self.send_due()?;
            self.wait(&mut events, round)?;
            for event in events.drain(..) {
                self.ready(event.data.u64() as usize)?;
            }
            let now = Instant::now();
            if now >= round {
                self.look_round(now)?;
                round = now + ROUND;
            }
        }
        Ok(self.tally)
    }

    /// Waits for something to happen, a request to be due, or this time.
    fn wait(&self, events: &mut Vec<Event>, latest: Instant) -> Result<()> {
        let due = self.schedule.as_ref().and_then(Schedule::wake_at);
        let wake = due.map_or(latest, |due| due.min(latest));
        let time = wake.saturating_duration_since(Instant::now());
        let time = Timespec {
            tv_sec: time.as_secs() as i64,
            tv_nsec: time.subsec_nanos().into(),
        };
        match epoll::wait(&self.epoll, spare_capacity(events), Some(&time)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error).context("waiting for answers"),
        }
    }

    /// Something happened on a connection.
    fn ready(&mut self, index: usize) -> Result<()> {
        let connection = &mut self.connections[index];
        match connection.state {
            State::Closed => Ok(()),
            State::Connecting => match connection.connected() {
                Ok(()) => {
                    self.modify(index, EventFlags::IN)?;
                    self.free(index)
                }
                Err(kind) => {
                    self.lose(index, kind);
                    Ok(())
                }
            },
            State::Sending => self.go_on(index),
            State::Waiting => self.receive(index),
            State::Idle if connection.has_more() => {
                self.lose(index, "length");
                Ok(())
            }
            // The server closes what it thinks idle, and nothing is lost.
            State::Idle => self.reopen(index),
        }
    }

    /// A connection has nothing to do: the next request, or it waits for one to be due.
    fn free(&mut self, index: usize) -> Result<()> {
        if let Some(schedule) = &mut self.schedule {
            schedule.put(index);
            return Ok(());
        }
        self.send(index, Instant::now(), None)
    }

    /// Sends what is due, as long as connections are free. What found none in time is given up.
    fn send_due(&mut self) -> Result<()> {
        while let Some(schedule) = &mut self.schedule {
            let (due, now) = (schedule.due(), Instant::now());
            if due > now {
                break;
            }
            if now - due > DEADLINE {
                schedule.skip();
                self.tally.wrong(now, "not sent", 0);
            } else if let Some(index) = schedule.take() {
                self.send(index, now, Some(due))?;
            } else {
                break;
            }
        }
        Ok(())
    }

    /// Sends the connection's next input, whose latency counts from now or from when it was due.
    fn send(&mut self, index: usize, now: Instant, due: Option<Instant>) -> Result<()> {
        let connection = &mut self.connections[index];
        connection.begin(now, due.unwrap_or(now));
        connection.input = (connection.input + 1) % self.load.inputs.len();
        self.go_on(index)
    }

    fn go_on(&mut self, index: usize) -> Result<()> {
        let connection = &mut self.connections[index];
        let was_stuck = connection.state == State::Sending;
        match connection.send(&self.load.inputs[connection.input].bytes) {
            Ok(true) if was_stuck => self.modify(index, EventFlags::IN),
            Ok(false) if !was_stuck => self.modify(index, EventFlags::OUT),
            Ok(_) => Ok(()),
            Err(kind) => {
                self.lose(index, kind);
                Ok(())
            }
        }
    }

    fn receive(&mut self, index: usize) -> Result<()> {
        let connection = &mut self.connections[index];
        let input = &self.load.inputs[connection.input];
        let answer = match connection.receive(input.header) {
            Came::Nothing => return Ok(()),
            Came::Lost(kind) => {
                self.lose(index, kind);
                return Ok(());
            }
            Came::Answer(answer) => answer,
        };
        let now = Instant::now();
        let latency = now - connection.from;
        if connection.is_beyond(&answer) {
            self.lose(index, "length");
            return Ok(());
        }
        connection.state = State::Idle;
        match self.judge(index, &answer) {
            Ok(()) => self.tally.right(now, latency, answer.end),
            Err(kind) => self.tally.wrong(now, &kind, answer.end),
        }
        if answer.closes {
            return self.reopen(index);
        }
        self.free(index)
    }

    /// Whether an answer is right; the error says what is not.
    fn judge(&mut self, index: usize, answer: &Response) -> Result<(), Cow<'a, str>> {
        let load = self.load;
        let connection = &self.connections[index];
        let input = &load.inputs[connection.input];
        if answer.status != load.scenario.status() {
            return Err(format!("status {}", answer.status).into());
        }
        if !answer.is_json {
            return Err("content type".into());
        }
        if !answer.has_header {
            return Err(format!("header {}", input.header.unwrap_or_default()).into());
        }
        let body = connection.body(answer);
        let length = &mut self.lengths[connection.input];
        self.unread += 1;
        if *length == Some(body.len()) && self.unread < SAMPLE {
            return Ok(());
        }
        self.unread = 0;
        input.expected.check(body)?;
        *length = Some(body.len());
        Ok(())
    }

    /// Opens what is closed, and gives up what is too late.
    fn look_round(&mut self, now: Instant) -> Result<()> {
        for index in 0..self.connections.len() {
            let connection = &self.connections[index];
            match connection.state {
                State::Closed => self.reopen(index)?,
                State::Idle => {}
                State::Connecting | State::Sending | State::Waiting => {
                    if now.saturating_duration_since(connection.since) > DEADLINE {
                        self.lose(index, "timeout");
                    }
                }
            }
        }
        Ok(())
    }

    /// A request, or a connection, came to nothing; the connection is opened again in the next
    /// round.
    fn lose(&mut self, index: usize, kind: &str) {
        self.tally.wrong(Instant::now(), kind, 0);
        let connection = &mut self.connections[index];
        // Fails if it was not added yet.
        let _ = epoll::delete(&self.epoll, &connection.stream);
        connection.close();
    }

    /// Opens a connection in place of one that ended in order.
    fn reopen(&mut self, index: usize) -> Result<()> {
        if let Some(schedule) = &mut self.schedule {
            schedule.remove(index);
        }
        match self.connections[index].reopen(self.load.target) {
            Ok(()) => self.add(index, EventFlags::OUT),
            Err(kind) => {
                self.lose(index, kind);
                Ok(())
            }
        }
    }

    fn add(&self, index: usize, flags: EventFlags) -> Result<()> {
        let stream = &self.connections[index].stream;
        let data = EventData::new_u64(index as u64);
        epoll::add(&self.epoll, stream, data, flags).context("adding to an epoll")
    }

    fn modify(&self, index: usize, flags: EventFlags) -> Result<()> {
        let stream = &self.connections[index].stream;
        let data = EventData::new_u64(index as u64);
        epoll::modify(&self.epoll, stream, data, flags).context("changing an epoll")
    }
}
