//! The steady load, an open loop: requests are sent when they are due, whatever happened to those
//! before, and each leaves a record.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use schema::ErrorCode;
use testbed::aside::{Aside, Tasks};
use tokio::time::{sleep_until, timeout_at};

use crate::client::Client;
use crate::generator::{Generator, PlannedRequest};
use crate::operation::Operation;

/// Time for a response: longer than the contract's longest wait, five seconds for a connection to
/// the database and five for its statement.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(12);

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

/// The running load; dropping this ends it.
pub(crate) struct Load {
    shared: Arc<Shared>,
    _tasks: Tasks,
    _background: Aside,
}

struct Shared {
    generator: Arc<Generator>,
    client: Client,
    address: Mutex<SocketAddr>,
    /// Every request opens a new connection.
    churn: AtomicBool,
    records: Mutex<Vec<Record>>,
    /// Requests in flight, by due time and number.
    in_flight: Mutex<BTreeSet<(Instant, u64)>>,
    in_flight_max: usize,
    /// Requests that were not sent because too many were in flight.
    unsent: AtomicU64,
}

impl Load {
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
        let shared = Arc::new(Shared {
            generator,
            client: Client::default(),
            address: Mutex::new(address),
            churn: AtomicBool::new(false),
            records: Mutex::default(),
            in_flight: Mutex::default(),
            in_flight_max: in_flight_max.min(IN_FLIGHT_MAX),
            unsent: AtomicU64::new(0),
        });
        let background = Aside::start("load")?;
        let mut tasks = Tasks::default();
        let interval = Duration::from_secs_f64(rate.recip());
        tasks.add(background.spawn(send_when_due(Arc::clone(&shared), interval)));
        Ok(Self {
            shared,
            _tasks: tasks,
            _background: background,
        })
    }

    /// Returns the address of new connections.
    pub(crate) fn address(&self) -> SocketAddr {
        *lock(&self.shared.address)
    }

    /// Opens new connections to this address from now on; kept ones stay in use.
    pub(crate) fn set_address(&self, address: SocketAddr) {
        *lock(&self.shared.address) = address;
    }

    /// Opens a new connection for every request from now on, or no longer.
    pub(crate) fn set_churn(&self, churn: bool) {
        self.shared.churn.store(churn, Ordering::Relaxed);
        if churn {
            self.shared.client.close_all();
        }
    }

    /// Removes and returns the records of the requests that have ended.
    pub(crate) fn drain(&self) -> Vec<Record> {
        std::mem::take(&mut *lock(&self.shared.records))
    }

    /// Returns when the oldest request in flight was due.
    pub(crate) fn oldest_in_flight(&self) -> Option<Instant> {
        lock(&self.shared.in_flight).first().map(|(due, _)| *due)
    }

    /// Returns how many requests were not sent so far, because too many were in flight.
    pub(crate) fn unsent(&self) -> u64 {
        self.shared.unsent.load(Ordering::Relaxed)
    }
}

/// Sends the generator's operations in turn, for ever.
async fn send_when_due(shared: Arc<Shared>, interval: Duration) {
    let mut operations = shared.generator.cycle().into_iter().cycle();
    let mut due = Instant::now();
    let mut number = 0;
    loop {
        sleep_until(due.into()).await;
        let now = Instant::now();
        while due <= now {
            let operation = operations.next().expect("a cycle does not end");
            let key = (due, number);
            let mut in_flight = lock(&shared.in_flight);
            if in_flight.len() < shared.in_flight_max {
                in_flight.insert(key);
                drop(in_flight);
                tokio::spawn(send(Arc::clone(&shared), operation, key));
            } else {
                shared.unsent.fetch_add(1, Ordering::Relaxed);
            }
            due += interval;
            number += 1;
        }
    }
}

async fn send(shared: Arc<Shared>, operation: Operation, key: (Instant, u64)) {
    let (due, _) = key;
    let request = shared.generator.request(operation);
    let (outcome, retried) = exchange(&shared, &request, due).await;
    let record = Record {
        operation,
        due,
        ended: Instant::now(),
        outcome,
        retried,
    };
    // In this order: a request that is no longer in flight has a record.
    lock(&shared.records).push(record);
    lock(&shared.in_flight).remove(&key);
}

async fn exchange(shared: &Shared, request: &PlannedRequest, due: Instant) -> (Outcome, bool) {
    let sent_at = Instant::now();
    let address = *lock(&shared.address);
    let churn = shared.churn.load(Ordering::Relaxed);
    let exchange = shared
        .client
        .send(address, &request.bytes, request.header, churn);
    match timeout_at((due.max(sent_at) + REQUEST_TIMEOUT).into(), exchange).await {
        Ok((reply, retried)) => (shared.generator.judge(request, sent_at, reply), retried),
        Err(_) => (Outcome::TimedOut, false),
    }
}

/// Locks; a panic elsewhere does not spoil these values.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
