//! The steady load: requests are due at fixed times, whatever becomes of those before (an open
//! loop), and each leaves a record.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::time::{sleep_until, timeout_at};

use super::client::Client;
use super::question::{Outcome, Question, Questions};
use super::route::Route;
use testbed::aside::{Aside, Tasks};

/// Time for an answer: longer than the contract's longest wait, five seconds for a connection to
/// the database and five for its statement.
pub(super) const PATIENCE: Duration = Duration::from_secs(12);

/// Most requests that wait at the same time; each has a connection of its own.
const WAITING_MAX: usize = 6000;

/// One request, when it has come to its end.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) route: Route,
    /// When it was due, from which its latency counts.
    pub(super) due: Instant,
    pub(super) ended: Instant,
    pub(super) outcome: Outcome,
    /// Whether it was sent again on another connection.
    pub(super) again: bool,
}

/// The load; it ends when this is dropped.
pub(super) struct Load {
    shared: Arc<Shared>,
    _tasks: Tasks,
    _aside: Aside,
}

struct Shared {
    questions: Arc<Questions>,
    client: Client,
    address: Mutex<SocketAddr>,
    /// A connection of its own for every request.
    churn: AtomicBool,
    records: Mutex<Vec<Record>>,
    /// When those were due that have not come to their end.
    waiting: Mutex<BTreeSet<(Instant, u64)>>,
    /// Requests that were not sent because too many waited.
    unsent: AtomicU64,
    waiting_max: usize,
}

impl Load {
    /// Begins to send so many requests in a second.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub(super) fn start(
        questions: Arc<Questions>,
        address: SocketAddr,
        rate: f64,
        waiting_max: usize,
    ) -> Result<Self> {
        let shared = Arc::new(Shared {
            questions,
            client: Client::default(),
            address: Mutex::new(address),
            churn: AtomicBool::new(false),
            records: Mutex::default(),
            waiting: Mutex::default(),
            unsent: AtomicU64::new(0),
            waiting_max: waiting_max.min(WAITING_MAX),
        });
        let aside = Aside::start("load")?;
        let mut tasks = Tasks::default();
        tasks.add(aside.spawn(pace(
            Arc::clone(&shared),
            Duration::from_secs_f64(rate.recip()),
        )));
        Ok(Self {
            shared,
            _tasks: tasks,
            _aside: aside,
        })
    }

    /// Where new connections go.
    pub(super) fn address(&self) -> SocketAddr {
        *lock(&self.shared.address)
    }

    /// From now on new connections go there.
    pub(super) fn go_to(&self, address: SocketAddr) {
        *lock(&self.shared.address) = address;
    }

    /// From now on all requests go there, on new connections.
    pub(super) fn leave_for(&self, address: SocketAddr) {
        self.go_to(address);
        self.shared.client.forget();
    }

    /// Whether every request gets a connection of its own from now on.
    pub(super) fn set_churn(&self, churn: bool) {
        self.shared.churn.store(churn, Ordering::Relaxed);
        if churn {
            self.shared.client.forget();
        }
    }

    /// The requests that have come to their end since this was asked last.
    pub(super) fn drain(&self) -> Vec<Record> {
        std::mem::take(&mut *lock(&self.shared.records))
    }

    /// When the request was due that waits longest.
    pub(super) fn oldest(&self) -> Option<Instant> {
        lock(&self.shared.waiting).first().map(|(due, _)| *due)
    }

    /// Requests that were not sent so far, because too many waited.
    pub(super) fn unsent(&self) -> u64 {
        self.shared.unsent.load(Ordering::Relaxed)
    }
}

/// Sends what is due, one route after the other.
async fn pace(shared: Arc<Shared>, interval: Duration) {
    let round = shared.questions.round();
    let mut due = Instant::now();
    let mut number = 0;
    loop {
        sleep_until(due.into()).await;
        let now = Instant::now();
        while due <= now {
            let route = round[(number % round.len() as u64) as usize];
            let place = (due, number);
            let mut waiting = lock(&shared.waiting);
            if waiting.len() < shared.waiting_max {
                waiting.insert(place);
                drop(waiting);
                tokio::spawn(send(Arc::clone(&shared), route, place));
            } else {
                shared.unsent.fetch_add(1, Ordering::Relaxed);
            }
            due += interval;
            number += 1;
        }
    }
}

async fn send(shared: Arc<Shared>, route: Route, place: (Instant, u64)) {
    let (due, _) = place;
    let question = shared.questions.make(route);
    let (outcome, again) = ask(&shared, &question, due).await;
    let record = Record {
        route,
        due,
        ended: Instant::now(),
        outcome,
        again,
    };
    // In this order: who sees that nobody waits any more finds the record too.
    lock(&shared.records).push(record);
    lock(&shared.waiting).remove(&place);
}

async fn ask(shared: &Shared, question: &Question, due: Instant) -> (Outcome, bool) {
    let asked = Instant::now();
    let address = *lock(&shared.address);
    let churn = shared.churn.load(Ordering::Relaxed);
    let exchange = shared
        .client
        .ask(address, &question.bytes, question.header, churn);
    match timeout_at((due.max(asked) + PATIENCE).into(), exchange).await {
        Ok((came, again)) => (shared.questions.judge(question, asked, came), again),
        Err(_) => (Outcome::Silent, false),
    }
}

/// A panic elsewhere does not spoil counts.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
