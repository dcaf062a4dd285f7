//! `GET /users/me`: the row of the token's user is read from Postgres on every request.

use std::thread::sleep;
use std::time::{Duration, Instant};

use schema::{Claims, ErrorCode, Profile, fixtures};

use super::{ENDPOINTS, ERRORS, Group, value};
use crate::client::CONNECTIONS;
use crate::database::Guard;
use crate::verdict::{Verdict, ensure};
use crate::{Check, Dependency, Subject, random};

const DATABASE: &str = "docs/CONTRACT.md#database";

/// Requests of a check that counts: more than the warm-up of a service that works only at first.
const REQUESTS: usize = 150;

/// Requests per connection when all connections send at once.
const REQUESTS_EACH: usize = 3;

/// Most connections to Postgres of a contender.
const CONNECTIONS_MAX: i64 = 64;

/// Time to recover after connections were cut.
const RECOVERY: Duration = Duration::from_secs(5);

/// Time between two attempts to find out if the contender has recovered.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) fn checks() -> Vec<Check> {
    let work = Group::work(DATABASE).needs(&[Dependency::Database]);
    let strict = Group::strict(ENDPOINTS);
    vec![
        work.check(
            "users-me/row",
            "A row that was inserted a moment ago is the response, for every user of a connection and in any script.",
            rows,
        ),
        work.check(
            "users-me/changed-row",
            "A row that changes, k6's own among them, has changed on the next request: nothing is cached.",
            changed_row,
        ),
        work.check(
            "users-me/one-query",
            "Every request reads the table once: by Postgres's own count there are as many scans as responses.",
            one_query,
        ),
        work.check(
            "users-me/at-once",
            "On 100 connections at once, each with its own user, every response belongs to its request.",
            at_once,
        ),
        strict
            .needs(&[Dependency::Database])
            .source("docs/CONTRACT.md#environment")
            .check(
                "users-me/64-connections",
                "A contender has at most 64 connections to Postgres, however many requests come at once.",
                |subject| {
                    let database = subject.database()?;
                    let request = subject.get_me(&fixtures::claims());
                    for exchange in subject.send_burst(&request, REQUESTS_EACH) {
                        exchange?.has_status(200)?;
                    }
                    let connections = database.connections()?;
                    let expected = "at most 64 connections";
                    ensure(connections <= CONNECTIONS_MAX, expected, connections.to_string())
                },
            ),
        strict.check(
            "users-me/field-order",
            "The fields come in the contract's order.",
            |subject| {
                let _guard = subject.database_if_any();
                let exchange = subject.send(subject.get_me(&fixtures::claims()))?;
                exchange.has_fields_in_order("id name email address city country")
            },
        ),
        strict.check(
            "users-me/content-type",
            "The content type is `application/json`.",
            |subject| {
                let _guard = subject.database_if_any();
                let exchange = subject.send(subject.get_me(&fixtures::claims()))?;
                exchange.is_json_typed()
            },
        ),
        strict.source(ERRORS).check(
            "users-me/404-no-such-user",
            "A valid token of a user without a row is 404.",
            |subject| is_unknown(subject, &random::claims()),
        ),
        strict.source(ERRORS).check(
            "users-me/404-nul",
            "A user id with NUL, which Postgres cannot store, is an unknown user and never a 5xx.",
            |subject| {
                let sub = "user\0-123".to_owned();
                let claims = fixtures::claims();
                is_unknown(subject, &Claims { sub, ..claims })
            },
        ),
    ]
}

fn is_unknown(subject: &Subject, claims: &Claims) -> Verdict {
    let _guard = subject.database_if_any();
    let exchange = subject.send(subject.get_me(claims))?;
    exchange.is_error(ErrorCode::UserNotFound)
}

fn rows(subject: &Subject) -> Verdict {
    let database = subject.database()?;
    let profiles: Vec<_> = (0..REQUESTS).map(|_| random::profile()).collect();
    let _rows = database.insert(&profiles)?;
    let mut connection = subject.client.connection();
    for profile in profiles.iter().chain([&fixtures::profile()]) {
        let exchange = connection.send(subject.get_me(&random::claims_of(profile)))?;
        exchange.is(200, &value(profile))?;
    }
    Ok(())
}

fn changed_row(subject: &Subject) -> Verdict {
    let database = subject.database()?;
    let _seed = RestoreSeed(&database);
    let other = random::profile();
    let _rows = database.insert(std::slice::from_ref(&other))?;
    let mut connection = subject.client.connection();
    let ids = [&fixtures::profile().id, &other.id];
    for id in ids.into_iter().cycle().take(12) {
        let changed = Profile {
            id: id.clone(),
            ..random::profile()
        };
        database.update(&changed)?;
        // The token of a user never changes, as k6's does not.
        let claims = Claims {
            sub: id.clone(),
            ..fixtures::claims()
        };
        let exchange = connection.send(subject.get_me(&claims))?;
        exchange.is(200, &value(&changed))?;
    }
    Ok(())
}

/// Restores the seed row when it is dropped.
struct RestoreSeed<'a>(&'a Guard<'a>);

impl Drop for RestoreSeed<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.update(&fixtures::profile()) {
            eprintln!("check: restoring the seed row: {error:#}");
        }
    }
}

/// Postgres counts the scans of a connection at the latest when the connection ends, so the contender's
/// are cut before each count. Responses other than 200 meanwhile are not counted.
fn one_query(subject: &Subject) -> Verdict {
    let database = subject.database()?;
    database.cut()?;
    let before = database.scans()?;
    let request = subject.get_me(&fixtures::claims());
    let (mut answers, mut others) = (0, 0);
    for exchange in subject.send_burst(&request, 2 * REQUESTS_EACH) {
        match exchange?.answer.status {
            200 => answers += 1,
            _ => others += 1,
        }
    }
    database.cut()?;
    let scans = database.scans()? - before;
    recovers(subject, RECOVERY)?;
    ensure(
        answers > others,
        "mostly 200 after connections were cut",
        format!("{answers} times 200, {others} other responses"),
    )?;
    ensure(
        (answers..=answers + others).contains(&scans),
        format!("{answers} scans of users for {answers} responses"),
        format!("{scans} scans"),
    )
}

/// Fails unless every response on 100 connections is 200 again within the time.
pub(super) fn recovers(subject: &Subject, time: Duration) -> Verdict {
    let deadline = Instant::now() + time;
    let request = subject.get_me(&fixtures::claims());
    loop {
        let mut exchanges = subject.send_burst(&request, 1);
        let result = exchanges.try_for_each(|exchange| exchange?.has_status(200).map(drop));
        match result {
            Err(problem) if Instant::now() > deadline => return Err(problem),
            Err(_) => sleep(PAUSE),
            Ok(()) => return Ok(()),
        }
    }
}

fn at_once(subject: &Subject) -> Verdict {
    let database = subject.database()?;
    let profiles: Vec<_> = (0..CONNECTIONS).map(|_| random::profile()).collect();
    let _rows = database.insert(&profiles)?;
    let each = REQUESTS_EACH.min(subject.burst());
    let list = |profile| vec![subject.get_me(&random::claims_of(profile)); each];
    let lists = profiles.iter().map(list).collect();
    for (list, profile) in subject
        .client
        .send_at_once(lists)
        .into_iter()
        .zip(&profiles)
    {
        for exchange in list {
            exchange?.is(200, &value(profile))?;
        }
    }
    Ok(())
}
