//! `GET /info`: a typed value, built and serialised on every request, with an id of its own.

use schema::{fixtures, routes};
use testbed::json::parse_uuid_v4;
use uuid::Uuid;

use super::{ENDPOINTS, Group, are_different, are_random, value};
use crate::client::Exchange;
use crate::verdict::Verdict;
use crate::{Check, Subject};

const CAMEL_CASE: &str = "createdAt";
const SNAKE_CASE: &str = "created_at";

pub(super) fn checks() -> Vec<Check> {
    let (work, strict) = (Group::work(ENDPOINTS), Group::strict(ENDPOINTS));
    let of_id = work.source("docs/CONTRACT.md#endpoints-of-the-target; RFC 9562, 5.4");
    vec![
        work.check(
            "info/value",
            "Each of thousands of responses has the whole value.",
            |subject| subject.info_burst()?.iter().try_for_each(is_info),
        ),
        of_id.check(
            "info/fresh-ids",
            "`x-response-id` differs in each of thousands of responses on 100 connections: a response cannot be cached.",
            |subject| are_different(&ids(subject)?, "GET /info"),
        ),
        of_id.check(
            "info/random-ids",
            "The ids are UUIDs v4 of random bits, not a counter in the form of one.",
            |subject| are_random(&ids(subject)?, "GET /info"),
        ),
        strict.check(
            "info/field-order",
            "The fields have the contract's names and come in its order.",
            |subject| {
                let order =
                    "id name count ratio active tags createdAt nested nested.level nested.label";
                let exchange = subject.send(subject.get(routes::INFO))?;
                exchange.has_fields_in_order(order)
            },
        ),
        strict.check(
            "info/content-type",
            "The content type is `application/json`.",
            |subject| subject.send(subject.get(routes::INFO))?.is_json_typed(),
        ),
    ]
}

/// Fails unless it is the whole value. A field in snake case is the same work, and the Django contenders
/// of the public harness write it on purpose; its name is checked by `info/field-order`.
pub(super) fn is_info(exchange: &Exchange) -> Verdict {
    let mut expected = value(&fixtures::info());
    if exchange.json()?.get(SNAKE_CASE).is_some()
        && let Some(fields) = expected.as_object_mut()
        && let Some(created_at) = fields.remove(CAMEL_CASE)
    {
        fields.insert(SNAKE_CASE.to_owned(), created_at);
    }
    exchange.is(200, &expected)
}

fn ids(subject: &Subject) -> Verdict<Vec<Uuid>> {
    let ids = subject.info_burst()?.iter().map(|exchange| {
        let id = exchange.answer.header(routes::RESPONSE_ID);
        let id = id.unwrap_or_default();
        match parse_uuid_v4(id) {
            Some(id) => Ok(id),
            None => exchange.fail(format!("a UUID v4, but the id is {id:?}")),
        }
    });
    ids.collect()
}
