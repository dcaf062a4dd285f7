//! Runs the checks against mutants, several at the same time.

use std::collections::BTreeSet;
use std::env;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};
use std::thread;

use conformance::{
    self, DatabaseSide, Level, Options, Outcome, Report, Secrets, Subject, Target, UpstreamSide,
};
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use testbed::postgres::TemporaryPostgres;

use crate::server::Mutant;
use crate::wire;

/// Mutants that run at the same time in one test; two tests run at the same time.
const AT_ONCE: usize = 3;

/// Mutants that mostly wait for deadlines.
const WAITING_AT_ONCE: usize = 8;

/// Requests on each of 100 connections where the checks ask for more: enough for any mutant.
const BURST: usize = 1;

/// The Postgres of every mutant that does not stop it; each has a database of its own.
static SHARED: LazyLock<Mutex<TemporaryPostgres>> =
    LazyLock::new(|| Mutex::new(TemporaryPostgres::start().unwrap()));

/// Where a mutant's database is.
pub(crate) enum Postgres {
    /// A server of its own.
    Own(Box<TemporaryPostgres>),
    /// A database of this name on the shared server.
    Shared(String),
}

/// Fails unless every mutant trips the checks that it names, and no others. `MUTANT=name` runs one.
pub(crate) fn caught(mutants: Vec<Mutant>) {
    let only = env::var("MUTANT").ok();
    let (waiting, others): (Vec<_>, Vec<_>) = mutants
        .into_iter()
        .filter(|mutant| only.as_ref().is_none_or(|name| name == mutant.name))
        .partition(|mutant| mutant.faults);
    let escaped = Mutex::new(Vec::new());
    for (mutants, at_once) in [(others, AT_ONCE), (waiting, WAITING_AT_ONCE)] {
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..at_once {
                scope.spawn(|| {
                    while let Some(mutant) = mutants.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let said = check(mutant);
                        if !said.is_empty() {
                            escaped
                                .lock()
                                .unwrap()
                                .push(format!("{}: {said}", mutant.name));
                        }
                    }
                });
            }
        });
    }
    let escaped = escaped.into_inner().unwrap();
    assert!(escaped.is_empty(), "\n{}", escaped.join("\n"));
}

/// What is wrong with the checks that a mutant trips; empty if nothing is.
fn check(mutant: &Mutant) -> String {
    let postgres = match mutant.own_postgres {
        true => Postgres::Own(Box::new(TemporaryPostgres::start().unwrap())),
        false => Postgres::Shared(new_database()),
    };
    let options = Options {
        burst: mutant.burst.unwrap_or(BURST),
        faults: mutant.faults,
        ..Options::all_of(Level::Strict)
    };
    let report = report(mutant, postgres, &options);
    let tripped: BTreeSet<&str> = report
        .checks
        .iter()
        .filter(|row| matches!(row.outcome, Outcome::Failed(_)))
        .map(|row| row.slug.as_str())
        .collect();
    let broken = report
        .checks
        .iter()
        .filter(|row| matches!(row.outcome, Outcome::Broken { .. }));
    let mut said: Vec<String> = broken.map(|row| format!("{row:?}")).collect();
    for name in mutant.trips {
        let pattern = glob::Pattern::new(name).unwrap();
        if !tripped.iter().any(|slug| pattern.matches(slug)) {
            said.push(format!("does not trip {name}"));
        }
    }
    let named = |slug: &str| {
        let mut patterns = mutant
            .trips
            .iter()
            .map(|name| glob::Pattern::new(name).unwrap());
        patterns.any(|pattern| pattern.matches(slug))
    };
    let others = report
        .checks
        .iter()
        .filter(|row| tripped.contains(row.slug.as_str()) && !named(&row.slug));
    said.extend(others.map(|row| format!("trips {}: {:?}", row.slug, row.outcome)));
    said.join("\n  ")
}

/// Starts the mutant and checks it.
pub(crate) fn report(mutant: &Mutant, postgres: Postgres, options: &Options) -> Report {
    let secrets = Secrets::bench();
    let upstream = UpstreamSide::start(Ipv4Addr::LOCALHOST.into(), 0, &secrets).unwrap();
    let (port, name, database) = match postgres {
        Postgres::Own(server) => (
            server.port(),
            "bench".to_owned(),
            DatabaseSide::of(*server).unwrap(),
        ),
        Postgres::Shared(name) => {
            let port = SHARED.lock().unwrap().port();
            let database = DatabaseSide::at(&url(port, &name)).unwrap();
            (port, name, database)
        }
    };
    let server = mutant.start(upstream.address(), port, &name);
    let wire = mutant
        .wire
        .map(|change| wire::Relay::start(server.address(), change));
    let address = wire.as_ref().map_or(server.address(), wire::Relay::address);
    let subject = Subject::new(
        Target::local(address),
        secrets,
        Some(upstream),
        Some(database),
    );
    conformance::run(subject, options).unwrap()
}

fn url(port: u16, database: &str) -> String {
    format!("postgres://bench:bench@127.0.0.1:{port}/{database}")
}

/// A seeded database on the shared server.
fn new_database() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("mutant_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    // One at a time: the template must not be in use.
    let server = SHARED.lock().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut connection = PgConnection::connect(&url(server.port(), "postgres"))
            .await
            .unwrap();
        let create = format!("CREATE DATABASE {name} TEMPLATE bench");
        sqlx::raw_sql(sqlx::AssertSqlSafe(create))
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    });
    name
}
