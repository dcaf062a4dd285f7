//! The steady load: the load engine's open loop with the generator's requests. Every request that
//! has ended leaves a record.

use std::collections::BTreeSet;
use std::iter::Cycle;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use load::engine::builtin::{Exchange, OpenLoop, Traffic};
use schema::ErrorCode;

use crate::generator::{Generator, PlannedRequest};
use crate::operation::Operation;

/// Most requests in flight; each has its own connection.
const IN_FLIGHT_MAX: usize = 6000;

/// The outcome of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    Correct,
    /// An error exactly as in the contract.
    ContractError(ErrorCode),
    /// Any other 5xx.
    OtherError(u16),
    /// Any other response, and how it differs.
    Wrong(String),
    /// No connection could be opened.
    Refused,
    /// The connection ended without a response.
    Broken,
    TimedOut,
}

/// A request that has ended.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) operation: Operation,
    /// When it was due; its latency counts from then.
    pub(crate) due: Instant,
    pub(crate) ended: Instant,
    pub(crate) outcome: Outcome,
    /// It was sent again on another connection.
    pub(crate) retried: bool,
}

impl Record {
    /// Returns true if the response was correct and took no longer than `prompt`.
    pub(crate) fn is_prompt(&self, prompt: Duration) -> bool {
        self.outcome == Outcome::Correct && self.ended <= self.due + prompt
    }
}

/// Events that are not the end of a request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Irregularities {
    /// Requests that were due and not sent, because too many were in flight.
    pub(crate) unsent: u64,
    /// Data on idle connections.
    pub(crate) unexpected_data: u64,
}

/// The running load; dropping this ends it.
pub(crate) struct SteadyLoad {
    open_loop: OpenLoop<JudgedTraffic>,
    progress: Arc<Mutex<Progress>>,
}

#[derive(Default)]
struct Progress {
    records: Vec<Record>,
    /// Requests in flight, by due time and number.
    in_flight: BTreeSet<(Instant, u64)>,
    irregularities: Irregularities,
}

impl SteadyLoad {
    /// Starts to send `rate` requests per second.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub(crate) fn start(
        generator: Arc<Generator>,
        address: SocketAddr,
        rate: f64,
        in_flight_max: usize,
    ) -> Result<Self> {
        let progress = Arc::default();
        let traffic = JudgedTraffic {
            operations: generator.cycle().into_iter().cycle(),
            generator,
            number: 0,
            progress: Arc::clone(&progress),
        };
        let in_flight_max = in_flight_max.min(IN_FLIGHT_MAX);
        Ok(Self {
            open_loop: OpenLoop::start(address, rate, in_flight_max, traffic)?,
            progress,
        })
    }

    /// Returns the address of new connections.
    pub(crate) fn address(&self) -> SocketAddr {
        self.open_loop.target()
    }

    /// Opens new connections to this address from now on; kept ones stay in use.
    pub(crate) fn set_address(&self, address: SocketAddr) {
        self.open_loop.set_target(address);
    }

    /// Opens a new connection for every request from now on, or no longer.
    pub(crate) fn set_churn(&self, churn: bool) {
        self.open_loop.set_keep_alive(!churn);
    }

    /// Removes and returns the records of the requests that have ended.
    pub(crate) fn drain(&self) -> Vec<Record> {
        std::mem::take(&mut lock(&self.progress).records)
    }

    /// Returns when the oldest request in flight was due.
    pub(crate) fn oldest_in_flight(&self) -> Option<Instant> {
        lock(&self.progress).in_flight.first().map(|(due, _)| *due)
    }

    /// Returns and resets the counts of irregularities.
    pub(crate) fn take_irregularities(&self) -> Irregularities {
        std::mem::take(&mut lock(&self.progress).irregularities)
    }
}

/// Sends the generator's operations in turn and judges the responses.
struct JudgedTraffic {
    generator: Arc<Generator>,
    operations: Cycle<std::array::IntoIter<Operation, 4>>,
    number: u64,
    progress: Arc<Mutex<Progress>>,
}

impl Traffic for JudgedTraffic {
    type Request = (u64, PlannedRequest);

    fn next(&mut self, scheduled: Instant) -> Self::Request {
        let operation = self.operations.next().expect("a cycle does not end");
        self.number += 1;
        let in_flight = &mut lock(&self.progress).in_flight;
        in_flight.insert((scheduled, self.number));
        (self.number, self.generator.request(operation))
    }

    fn bytes<'a>(&'a self, (_, request): &'a Self::Request) -> &'a [u8] {
        &request.bytes
    }

    fn ended(&mut self, (number, request): Self::Request, exchange: &Exchange<'_>) {
        let outcome = self
            .generator
            .judge(&request, exchange.dispatched, &exchange.result);
        let mut progress = lock(&self.progress);
        progress.records.push(Record {
            operation: request.operation,
            due: exchange.scheduled,
            ended: exchange.ended,
            outcome,
            retried: exchange.is_repeated,
        });
        progress.in_flight.remove(&(exchange.scheduled, number));
    }

    fn unsent(&mut self, _scheduled: Instant) {
        lock(&self.progress).irregularities.unsent += 1;
    }

    fn unexpected_data(&mut self, _at: Instant) {
        lock(&self.progress).irregularities.unexpected_data += 1;
    }
}

/// Locks; a panic elsewhere does not spoil these values.
fn lock(progress: &Mutex<Progress>) -> MutexGuard<'_, Progress> {
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}
