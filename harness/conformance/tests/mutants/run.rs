//! Runs the checks against mutants, several at the same time.

use std::env;
use std::mem;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{LazyLock, Mutex};
use std::thread;

use conformance::{
    Database, Level, Options, Outcome, RecordingUpstream, Report, Secrets, Subject, Target,
};
use glob::Pattern;
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use testbed::postgres::TemporaryPostgres;

use crate::mutant::Mutant;
use crate::wire::Relay;

/// Mutants of one test that run at the same time, as far as databases are free.
const CONCURRENCY: usize = 3;

/// The same for mutants that mostly wait for deadlines.
const WAITING_CONCURRENCY: usize = 8;

/// Databases of the shared server, so this many of its mutants run at the same time: more would
/// delay each other's responses past the checks' timeouts.
const DATABASES: usize = 4;

/// Requests per connection in a check's burst: enough for any mutant without its own number.
const BURST: usize = 1;

/// The Postgres of every mutant that does not stop it.
static SHARED: LazyLock<Shared> = LazyLock::new(Shared::start);

/// A server with seeded databases, which mutants use in turn: a check restores what it changes.
struct Shared {
    port: u16,
    /// Where a lease returns its database.
    sender: Sender<String>,
    free: Mutex<Receiver<String>>,
    _server: Mutex<TemporaryPostgres>,
}

impl Shared {
    fn start() -> Self {
        let server = TemporaryPostgres::start().unwrap();
        let port = server.port();
        let (sender, free) = channel();
        for number in 0..DATABASES {
            let name = format!("mutant_{number}");
            create(&url(port, "postgres"), &name);
            sender.send(name).unwrap();
        }
        Self {
            port,
            sender,
            free: Mutex::new(free),
            _server: Mutex::new(server),
        }
    }

    /// Waits for a database that no mutant uses.
    fn lease(&self) -> Lease {
        Lease(self.free.lock().unwrap().recv().unwrap())
    }
}

/// Exclusive use of a database of the shared server.
pub(crate) struct Lease(String);

impl Drop for Lease {
    fn drop(&mut self) {
        let _ = SHARED.sender.send(mem::take(&mut self.0));
    }
}

/// The database of a mutant.
pub(crate) enum Postgres {
    /// A server of its own.
    Own(Box<TemporaryPostgres>),
    /// A database on the shared server.
    Shared(Lease),
}

/// Fails unless every mutant fails the checks that it names, and no others. `MUTANT=name` runs one.
pub(crate) fn caught(mutants: Vec<Mutant>) {
    let only = env::var("MUTANT").ok();
    let (waiting, others): (Vec<_>, Vec<_>) = mutants
        .into_iter()
        .filter(|mutant| only.as_ref().is_none_or(|name| *name == mutant.name))
        .partition(|mutant| mutant.faults);
    let escaped = Mutex::new(Vec::new());
    for (mutants, concurrency) in [(others, CONCURRENCY), (waiting, WAITING_CONCURRENCY)] {
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..concurrency {
                scope.spawn(|| {
                    while let Some(mutant) = mutants.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let problems = problems(mutant);
                        escaped.lock().unwrap().extend(problems);
                    }
                });
            }
        });
    }
    let escaped = escaped.into_inner().unwrap();
    assert!(escaped.is_empty(), "\n{}", escaped.join("\n"));
}

/// Returns a line for each difference between the checks that a mutant fails and those it names.
fn problems(mutant: &Mutant) -> Vec<String> {
    let postgres = match mutant.own_postgres {
        true => Postgres::Own(Box::new(TemporaryPostgres::start().unwrap())),
        false => Postgres::Shared(SHARED.lease()),
    };
    let options = Options {
        burst: mutant.burst.unwrap_or(BURST),
        faults: mutant.faults,
        ..Options::all_of(Level::Strict)
    };
    let report = report(mutant, postgres, &options);
    let name = &mutant.name;
    let patterns = mutant.trips.split(' ').map(Pattern::new);
    let mut patterns: Vec<_> = patterns.map(|pattern| (pattern.unwrap(), false)).collect();
    let mut problems = Vec::new();
    for row in &report.checks {
        match &row.outcome {
            Outcome::Broken { .. } => problems.push(format!("{name}: {row:?}")),
            Outcome::Failed(failure) => {
                let mut is_named = false;
                for (pattern, has_tripped) in &mut patterns {
                    if pattern.matches(&row.slug) {
                        (is_named, *has_tripped) = (true, true);
                    }
                }
                if !is_named {
                    problems.push(format!("{name} trips {}: {failure:?}", row.slug));
                }
            }
            _ => {}
        }
    }
    let missing = patterns.iter().filter(|(_, has_tripped)| !has_tripped);
    problems.extend(missing.map(|(pattern, _)| format!("{name} does not trip {pattern}")));
    problems
}

/// Starts the mutant and checks it.
pub(crate) fn report(mutant: &Mutant, postgres: Postgres, options: &Options) -> Report {
    let secrets = Secrets::bench();
    let upstream =
        RecordingUpstream::start(Ipv4Addr::LOCALHOST.into(), 0, &secrets.api_key).unwrap();
    // Declared before the mutant, so returned after the mutant has ended.
    let lease;
    let (port, name, database) = match postgres {
        Postgres::Own(server) => {
            let port = server.port();
            let database = Database::of(*server).unwrap();
            (port, "bench", database)
        }
        Postgres::Shared(shared) => {
            lease = shared;
            let database = Database::at(&url(SHARED.port, &lease.0)).unwrap();
            (SHARED.port, lease.0.as_str(), database)
        }
    };
    let server = mutant.start(upstream.address(), port, name);
    let relay = mutant.wire.map(|wire| Relay::start(server.address(), wire));
    let address = relay.as_ref().map_or(server.address(), Relay::address);
    let target = Target::local(address);
    let subject = Subject::new(target, secrets, Some(upstream), Some(database));
    conformance::run(subject, options).unwrap()
}

fn url(port: u16, database: &str) -> String {
    format!("postgres://bench:bench@127.0.0.1:{port}/{database}")
}

/// Creates a seeded database.
fn create(server: &str, name: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut connection = PgConnection::connect(server).await.unwrap();
        let create = format!("CREATE DATABASE {name} TEMPLATE bench");
        let create = sqlx::raw_sql(sqlx::AssertSqlSafe(create));
        create.execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}
