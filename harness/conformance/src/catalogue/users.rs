//! `GET /users/me`: the row of the token's user is read from Postgres on every request.

use std::thread;
use std::time::{Duration, Instant};

use schema::{ErrorCode, Profile, fixtures};

use super::super::client::CONNECTIONS;
use super::super::database::Turn;
use super::super::verdict::{Verdict, ensure};
use super::super::{Check, Level, Side, Subject, random};
use super::{in_order, value};

const SOURCE: &str = "docs/CONTRACT.md#database";

/// Requests of a check that counts, more than any warm-up of a service that is right at first only.
const REQUESTS: usize = 150;

/// Requests on each connection when all are at once.
const REQUESTS_EACH: usize = 3;

/// Connections to Postgres that every contender may have.
const CONNECTIONS_MAX: i64 = 64;

/// Time to answer again after connections were cut.
const RECOVERY: Duration = Duration::from_secs(5);

/// Between two looks whether it answers again.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) fn checks() -> Vec<Check> {
    use Level::{Strict, Work};
    vec![
        Check::new(
            "users-me/row",
            Work,
            "A user that was put into the table a moment ago is answered, of any script; another on the same connection gets a row of its own.",
            SOURCE,
            rows,
        ),
        Check::new(
            "users-me/changed-row",
            Work,
            "A row that was changed has changed on the next request, k6's own user among them: nothing is kept.",
            SOURCE,
            changed_row,
        ),
        Check::new(
            "users-me/one-query",
            Work,
            "Every request reads the table once: answers and scans, by Postgres's own count, are as many.",
            SOURCE,
            one_query,
        ),
        Check::new(
            "users-me/at-once",
            Work,
            "On 100 connections at once, each with its own user, no answer is another's.",
            SOURCE,
            at_once,
        ),
        Check::new(
            "users-me/64-connections",
            Strict,
            "However many requests come at once, the contender has no more than 64 connections to Postgres.",
            "docs/CONTRACT.md#environment",
            |subject| {
                let turn = subject.database()?;
                let lists = vec![vec![subject.get_me(&fixtures::claims()); subject.each(REQUESTS_EACH)]; CONNECTIONS];
                for exchange in subject.client.at_once(lists).into_iter().flatten() {
                    exchange?.has_status(200)?;
                }
                let connections = turn.connections()?;
                Ok(ensure(connections <= CONNECTIONS_MAX, "at most 64 connections", format!("{connections}"))?)
            },
        ),
        Check::new(
            "users-me/field-order",
            Strict,
            "The fields come in the contract's order.",
            "docs/CONTRACT.md#endpoints-of-the-target",
            |subject| {
                let _turn = subject.database_if_any();
                let exchange = subject.ask(subject.get_me(&fixtures::claims()))?;
                let order = ["id", "name", "email", "address", "city", "country"];
                Ok(in_order(&exchange, &order)?)
            },
        ),
        Check::new(
            "users-me/content-type",
            Strict,
            "The content type is `application/json`.",
            "docs/CONTRACT.md#endpoints-of-the-target",
            |subject| {
                let _turn = subject.database_if_any();
                Ok(subject.ask(subject.get_me(&fixtures::claims()))?.is_json_typed()?)
            },
        ),
        Check::new(
            "users-me/404-no-such-user",
            Strict,
            "A valid token of a user without a row is 404.",
            "docs/CONTRACT.md#errors-of-the-target",
            |subject| {
                let _turn = subject.database_if_any();
                let exchange = subject.ask(subject.get_me(&random::claims()))?;
                Ok(exchange.is_error(ErrorCode::UserNotFound)?)
            },
        ),
        Check::new(
            "users-me/404-nul",
            Strict,
            "A user's id that Postgres cannot store, because NUL is in it, is a user that does not exist, never a 5xx.",
            "docs/CONTRACT.md#errors-of-the-target",
            |subject| {
                let _turn = subject.database_if_any();
                let claims = schema::Claims { sub: "user\0-123".to_owned(), ..fixtures::claims() };
                let exchange = subject.ask(subject.get_me(&claims))?;
                Ok(exchange.is_error(ErrorCode::UserNotFound)?)
            },
        ),
    ]
    .into_iter()
    .map(|check| match check.slug.as_str() {
        "users-me/row" | "users-me/changed-row" | "users-me/one-query" | "users-me/at-once"
        | "users-me/64-connections" => check.needs(&[Side::Database]),
        _ => check,
    })
    .collect()
}

fn rows(subject: &Subject) -> Verdict {
    let turn = subject.database()?;
    let profiles: Vec<_> = (0..REQUESTS).map(|_| random::profile()).collect();
    let _rows = turn.insert(&profiles)?;
    let mut conversation = subject.client.conversation();
    for profile in profiles.iter().chain([&fixtures::profile()]) {
        let exchange = conversation.ask(subject.get_me(&random::claims_of(profile)))?;
        exchange.is(200, &value(profile))?;
    }
    Ok(())
}

fn changed_row(subject: &Subject) -> Verdict {
    let turn = subject.database()?;
    let seed = Restored { turn: &turn };
    let other = random::profile();
    let _rows = turn.insert(std::slice::from_ref(&other))?;
    let mut conversation = subject.client.conversation();
    for id in [&fixtures::profile().id, &other.id]
        .into_iter()
        .cycle()
        .take(12)
    {
        let changed = Profile {
            id: id.clone(),
            ..random::profile()
        };
        seed.turn.update(&changed)?;
        // The token is the same every time, as k6's is.
        let claims = schema::Claims {
            sub: id.clone(),
            ..fixtures::claims()
        };
        conversation
            .ask(subject.get_me(&claims))?
            .is(200, &value(&changed))?;
    }
    Ok(())
}

/// The seed row, as it was when this is dropped.
struct Restored<'a> {
    turn: &'a Turn<'a>,
}

impl Drop for Restored<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.turn.update(&fixtures::profile()) {
            eprintln!("check: restoring the seed row: {error:#}");
        }
    }
}

/// Postgres counts a connection's scans when the connection ends at the latest, so the contender's
/// are cut before each count. What it answers while it finds that out is no success, and not
/// counted.
fn one_query(subject: &Subject) -> Verdict {
    let turn = subject.database()?;
    turn.cut()?;
    let before = turn.scans()?;
    let request = subject.get_me(&fixtures::claims());
    let lists = vec![vec![request; subject.each(2 * REQUESTS_EACH)]; CONNECTIONS];
    let (mut answers, mut others) = (0, 0);
    for exchange in subject.client.at_once(lists).into_iter().flatten() {
        match exchange?.answer.status {
            200 => answers += 1,
            _ => others += 1,
        }
    }
    turn.cut()?;
    let scans = turn.scans()? - before;
    answers_again(subject, RECOVERY)?;
    ensure(
        answers > others,
        "answers of 200 again after connections were cut",
        format!("{answers} of 200, {others} others"),
    )?;
    Ok(ensure(
        (answers..=answers + others).contains(&scans),
        format!("{answers} scans of users for {answers} answers"),
        format!("{scans} scans"),
    )?)
}

/// Asks on all connections until every answer is 200 again, after connections were cut.
pub(super) fn answers_again(subject: &Subject, time: Duration) -> Verdict {
    let deadline = Instant::now() + time;
    loop {
        let lists = vec![vec![subject.get_me(&fixtures::claims())]; CONNECTIONS];
        let answers = subject.client.at_once(lists).into_iter().flatten();
        let answers: Result<Vec<_>, _> = answers
            .map(|exchange| exchange.and_then(|exchange| exchange.has_status(200).cloned()))
            .collect();
        match answers {
            Err(failure) if Instant::now() > deadline => return Err(failure.into()),
            Err(_) => thread::sleep(PAUSE),
            Ok(_) => return Ok(()),
        }
    }
}

fn at_once(subject: &Subject) -> Verdict {
    let turn = subject.database()?;
    let profiles: Vec<_> = (0..CONNECTIONS).map(|_| random::profile()).collect();
    let _rows = turn.insert(&profiles)?;
    let list =
        |profile| vec![subject.get_me(&random::claims_of(profile)); subject.each(REQUESTS_EACH)];
    let answers = subject.client.at_once(profiles.iter().map(list).collect());
    for (list, profile) in answers.into_iter().zip(&profiles) {
        for exchange in list {
            exchange?.is(200, &value(profile))?;
        }
    }
    Ok(())
}
