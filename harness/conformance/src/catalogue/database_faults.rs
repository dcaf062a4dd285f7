//! `GET /users/me` while Postgres fails: the status, the deadline, and the recovery after it.

use std::time::{Duration, Instant};

use schema::limits::{DB_ACQUIRE_TIMEOUT, DB_STATEMENT_TIMEOUT};
use schema::{ErrorCode, fixtures, routes};

use super::super::client::{CONNECTIONS, Exchange};
use super::super::verdict::{Failure, Verdict, ensure};
use super::super::{Check, Level, Side, Subject};
use super::users::answers_again;

const SOURCE: &str = "docs/CONTRACT.md#errors-of-the-target";

/// What an answer may be late beyond the contract's deadline.
const LATE: Duration = Duration::from_millis(1500);

/// Requests while Postgres is stopped: each may take its whole deadline, so they do it together.
const REFUSED_AT_ONCE: usize = 5;

/// Time to answer again once the database is back.
pub(super) const RECOVERY: Duration = Duration::from_secs(3);

/// Time to answer again once connections were cut: the database is there all the time.
const CUT_RECOVERY: Duration = Duration::from_secs(1);

pub(super) fn checks() -> Vec<Check> {
    let check = |name: &str, what: &str, run: fn(&Subject) -> Verdict| {
        Check::new(format!("users-me/{name}"), Level::Strict, what, SOURCE, run).fault()
    };
    vec![
        check("503-locked", "While the table is locked, 100 requests at once, more than there are connections, are 503 within 5 s: neither a statement nor the wait for a connection lasts longer.", locked)
            .needs(&[Side::Database]),
        check("503-stopped", "While Postgres is stopped a request is 503 within 5 s, and `GET /info` and `POST /movies` are served.", stopped)
            .needs(&[Side::Database, Side::DatabaseServer]),
        check("200-restarted", "After a restart of Postgres every connection is a broken one: requests are 503 at the worst, and 200 again at once.", restarted)
            .needs(&[Side::Database, Side::DatabaseServer]),
        check("200-cut", "After its connections were ended by `pg_terminate_backend` requests are 503 at the worst, and 200 again at once.", cut)
            .needs(&[Side::Database]),
    ]
}

fn locked(subject: &Subject) -> Verdict {
    let _alone = subject.alone();
    let turn = subject.database()?;
    answers_again(subject, RECOVERY)?;
    let lock = turn.lock()?;
    let begun = Instant::now();
    let deadline = DB_STATEMENT_TIMEOUT.max(DB_ACQUIRE_TIMEOUT) + LATE;
    let answers = std::thread::scope(|scope| {
        let asked = scope.spawn(|| {
            let lists = vec![vec![subject.get_me(&fixtures::claims())]; CONNECTIONS];
            subject.client.at_once(lists)
        });
        while begun.elapsed() < deadline && !asked.is_finished() {
            std::thread::sleep(Duration::from_millis(10));
        }
        // Who waited for a connection until now may have its statement done.
        drop(lock);
        asked.join().expect("a thread that asks does not panic")
    });
    let mut refused = 0;
    for exchange in answers.into_iter().flatten() {
        let exchange = exchange?;
        if exchange.answer.status == 200 && exchange.took >= DB_ACQUIRE_TIMEOUT {
            continue;
        }
        exchange.is_error(ErrorCode::DatabaseUnavailable)?;
        in_time(&exchange, deadline)?;
        refused += 1;
    }
    ensure(
        refused > CONNECTIONS / 2,
        "503 while the table is locked",
        format!("{refused} of {CONNECTIONS} requests were 503, the others waited longer"),
    )?;
    answers_again(subject, RECOVERY)
}

fn stopped(subject: &Subject) -> Verdict {
    let _alone = subject.alone();
    let turn = subject.database()?;
    turn.while_stopped(|| -> Verdict {
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| {
                let lists = vec![vec![subject.get_me(&fixtures::claims())]; REFUSED_AT_ONCE];
                subject.client.at_once(lists)
            });
            subject.ask(subject.get(routes::INFO))?.has_status(200)?;
            subject.ask(subject.post_k6_movie())?.has_status(201)?;
            let answers = asked.join().expect("a thread that asks does not panic");
            for exchange in answers.into_iter().flatten() {
                let exchange = exchange?;
                exchange.is_error(ErrorCode::DatabaseUnavailable)?;
                in_time(&exchange, DB_ACQUIRE_TIMEOUT + LATE)?;
            }
            Ok(())
        })
    })??;
    answers_again(subject, RECOVERY)
}

fn restarted(subject: &Subject) -> Verdict {
    let _alone = subject.alone();
    let turn = subject.database()?;
    answers_again(subject, RECOVERY)?;
    turn.while_stopped(|| ())?;
    unavailable_at_worst(subject)?;
    answers_again(subject, RECOVERY)
}

fn cut(subject: &Subject) -> Verdict {
    let _alone = subject.alone();
    let turn = subject.database()?;
    answers_again(subject, RECOVERY)?;
    turn.cut()?;
    unavailable_at_worst(subject)?;
    answers_again(subject, CUT_RECOVERY)
}

/// Fails unless every one of a burst is 200 or the contract's 503.
fn unavailable_at_worst(subject: &Subject) -> Verdict {
    let lists = vec![vec![subject.get_me(&fixtures::claims())]; CONNECTIONS];
    for exchange in subject.client.at_once(lists).into_iter().flatten() {
        let exchange = exchange?;
        if exchange.answer.status != 200 {
            exchange.is_error(ErrorCode::DatabaseUnavailable)?;
        }
    }
    Ok(())
}

fn in_time(exchange: &Exchange, deadline: Duration) -> Result<(), Failure> {
    if exchange.took <= deadline {
        return Ok(());
    }
    let took = format!(
        "{} after {:.1} s",
        exchange.came(),
        exchange.took.as_secs_f32()
    );
    let expected = format!("an answer within {:.1} s", deadline.as_secs_f32());
    Err(Failure::of(&exchange.request, expected, took))
}
