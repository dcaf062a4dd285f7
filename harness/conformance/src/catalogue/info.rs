//! `GET /info`: a typed value, built and serialised on every request, under an id of its own.

use schema::{fixtures, routes};
use uuid::Uuid;

use super::super::client::{CONNECTIONS, Exchange};
use super::super::verdict::{Failure, Verdict};
use super::super::{Check, Level, Subject};
use super::{fresh, in_order, random, uuid_v4, value};

const SOURCE: &str = "docs/CONTRACT.md#endpoints-of-the-target";
const SOURCE_OF_ID: &str = "docs/CONTRACT.md#endpoints-of-the-target; RFC 9562, 5.4";

const CAMEL_CASE: &str = "createdAt";
const SNAKE_CASE: &str = "created_at";

pub(super) fn checks() -> Vec<Check> {
    use Level::{Strict, Work};
    vec![
        Check::new(
            "info/value",
            Work,
            "Every one of thousands of answers holds the whole value, the last as the first.",
            SOURCE,
            every_value,
        ),
        Check::new(
            "info/fresh-ids",
            Work,
            "`x-response-id` is another on each of thousands of requests, over 100 connections at once: an answer that is kept cannot have it.",
            SOURCE_OF_ID,
            |subject| Ok(fresh(&ids(&burst(subject)?)?, "GET /info")?),
        ),
        Check::new(
            "info/random-ids",
            Work,
            "The ids are UUIDs v4 of random bits: a counter in their form is no work.",
            SOURCE_OF_ID,
            |subject| Ok(random(&ids(&burst(subject)?)?, "GET /info")?),
        ),
        Check::new(
            "info/field-order",
            Strict,
            "The fields have the contract's names and come in its order.",
            SOURCE,
            |subject| {
                let exchange = subject.ask(subject.get(routes::INFO))?;
                let order = [
                    "id",
                    "name",
                    "count",
                    "ratio",
                    "active",
                    "tags",
                    CAMEL_CASE,
                    "nested",
                    "nested.level",
                    "nested.label",
                ];
                Ok(in_order(&exchange, &order)?)
            },
        ),
        Check::new(
            "info/content-type",
            Strict,
            "The content type is `application/json`.",
            SOURCE,
            |subject| Ok(subject.ask(subject.get(routes::INFO))?.is_json_typed()?),
        ),
    ]
}

fn every_value(subject: &Subject) -> Verdict {
    for exchange in burst(subject)? {
        is_info(&exchange)?;
    }
    Ok(())
}

/// Fails unless it is the whole value. A field in snake case is the same work, and how the Django
/// contenders of the public harness write it on purpose; its name is `info/field-order`'s to judge.
pub(super) fn is_info(exchange: &Exchange) -> Result<(), Failure> {
    let mut expected = value(&fixtures::info());
    let came = exchange.json()?;
    if came.get(SNAKE_CASE).is_some()
        && let Some(created_at) = expected
            .as_object_mut()
            .and_then(|info| info.remove(CAMEL_CASE))
    {
        expected[SNAKE_CASE] = created_at;
    }
    exchange.is(200, &expected)
}

fn ids(exchanges: &[Exchange]) -> Result<Vec<Uuid>, Failure> {
    let ids = exchanges.iter().map(|exchange| {
        let id = exchange
            .answer
            .header(routes::RESPONSE_ID)
            .unwrap_or_default();
        uuid_v4(id, exchange)
    });
    ids.collect()
}

/// Thousands of answers, from all connections at once.
fn burst(subject: &Subject) -> Result<Vec<Exchange>, Failure> {
    let request = subject.get(routes::INFO);
    let lists = vec![vec![request; subject.burst()]; CONNECTIONS];
    subject
        .client
        .at_once(lists)
        .into_iter()
        .flatten()
        .collect()
}
