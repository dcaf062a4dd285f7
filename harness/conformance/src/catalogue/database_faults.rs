//! `GET /users/me` while Postgres fails: the status, the deadline, and the recovery.

use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use schema::limits::{DB_ACQUIRE_TIMEOUT, DB_STATEMENT_TIMEOUT};
use schema::{ErrorCode, fixtures, routes};

use super::users::recovers;
use super::{ERRORS, Group, LATE, is_in_time};
use crate::client::CONNECTIONS;
use crate::verdict::{Verdict, ensure};
use crate::{Check, Dependency, Subject};

/// Requests while Postgres is stopped: each may take its whole deadline, so they wait together.
const STOPPED_REQUESTS: usize = 5;

/// Time to recover once the database is back.
pub(super) const RECOVERY: Duration = Duration::from_secs(3);

/// Time to recover once connections were cut: the database is there all the time.
const CUT_RECOVERY: Duration = Duration::from_secs(1);

pub(super) fn checks() -> Vec<Check> {
    let fault = Group::strict(ERRORS).faults();
    let database = fault.needs(&[Dependency::Database]);
    let server = fault.needs(&[Dependency::Database, Dependency::DatabaseServer]);
    vec![
        database.check(
            "users-me/503-locked",
            "While the table is locked, 100 requests at once, more than there are connections, are 503 within 5 s: neither a statement nor the wait for a connection lasts longer.",
            locked,
        ),
        server.check(
            "users-me/503-stopped",
            "While Postgres is stopped a request is 503 within 5 s, and `GET /info` and `POST /movies` are served.",
            stopped,
        ),
        server.check(
            "users-me/200-restarted",
            "After a restart of Postgres, which breaks every connection, requests are 503 at worst and soon 200 again.",
            |subject| {
                let _serial = subject.lock_if_serial();
                let database = subject.database()?;
                recovers(subject, RECOVERY)?;
                database.while_stopped(|| ())?;
                is_unavailable_at_worst(subject)?;
                recovers(subject, RECOVERY)
            },
        ),
        database.check(
            "users-me/200-cut",
            "After `pg_terminate_backend` has ended its connections, requests are 503 at worst and soon 200 again.",
            |subject| {
                let _serial = subject.lock_if_serial();
                let database = subject.database()?;
                recovers(subject, RECOVERY)?;
                database.cut()?;
                is_unavailable_at_worst(subject)?;
                recovers(subject, CUT_RECOVERY)
            },
        ),
    ]
}

fn locked(subject: &Subject) -> Verdict {
    let _serial = subject.lock_if_serial();
    let database = subject.database()?;
    recovers(subject, RECOVERY)?;
    let lock = database.lock_table()?;
    let started = Instant::now();
    let deadline = DB_STATEMENT_TIMEOUT.max(DB_ACQUIRE_TIMEOUT);
    let exchanges: Vec<_> = scope(|scope| {
        let sent = scope.spawn(|| {
            let request = subject.get_me(&fixtures::claims());
            subject.send_burst(&request, 1).collect()
        });
        while started.elapsed() < deadline + LATE && !sent.is_finished() {
            sleep(Duration::from_millis(10));
        }
        // A request that has waited for a connection until now may complete its statement.
        drop(lock);
        sent.join().expect("a thread that sends does not panic")
    });
    let mut refused = 0;
    for exchange in exchanges {
        let exchange = exchange?;
        if exchange.answer.status == 200 && exchange.took >= DB_ACQUIRE_TIMEOUT {
            continue;
        }
        exchange.is_error(ErrorCode::DatabaseUnavailable)?;
        is_in_time(&exchange, deadline)?;
        refused += 1;
    }
    ensure(
        refused > CONNECTIONS / 2,
        "503 while the table is locked",
        format!("{refused} of {CONNECTIONS} requests were 503, the others waited longer"),
    )?;
    recovers(subject, RECOVERY)
}

fn stopped(subject: &Subject) -> Verdict {
    let _serial = subject.lock_if_serial();
    let database = subject.database()?;
    database.while_stopped(|| {
        scope(|scope| {
            let sent = scope.spawn(|| {
                let lists = vec![vec![subject.get_me(&fixtures::claims())]; STOPPED_REQUESTS];
                subject.client.send_at_once(lists)
            });
            subject.send(subject.get(routes::INFO))?.has_status(200)?;
            subject.send(subject.post_k6_movie())?.has_status(201)?;
            let exchanges = sent.join().expect("a thread that sends does not panic");
            for exchange in exchanges.into_iter().flatten() {
                let exchange = exchange?;
                exchange.is_error(ErrorCode::DatabaseUnavailable)?;
                is_in_time(&exchange, DB_ACQUIRE_TIMEOUT)?;
            }
            Verdict::Ok(())
        })
    })??;
    recovers(subject, RECOVERY)
}

/// Fails unless every response of a burst is 200 or the contract's 503.
fn is_unavailable_at_worst(subject: &Subject) -> Verdict {
    for exchange in subject.send_burst(&subject.get_me(&fixtures::claims()), 1) {
        let exchange = exchange?;
        if exchange.answer.status != 200 {
            exchange.is_error(ErrorCode::DatabaseUnavailable)?;
        }
    }
    Ok(())
}
