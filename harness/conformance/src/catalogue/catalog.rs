//! `GET /catalog`: the upstream is called, its answer decoded and encoded, on every request.

use std::time::Duration;

use schema::{Product, routes};
use serde_json::Value;

use super::super::client::CONNECTIONS;
use super::super::upstream::{Behaviour, Turn};
use super::super::verdict::{Failure, Verdict, ensure};
use super::super::{Check, Level, Side, Subject, random};
use super::{in_order, value};

const SOURCE: &str = "docs/CONTRACT.md#endpoints-of-the-target";
const SOURCE_OF_CALL: &str = "docs/CONTRACT.md#the-upstream";

/// Requests of a check that counts, more than any warm-up of a service that is right at first only.
const REQUESTS: usize = 150;

/// Requests on each connection when all are at once.
const REQUESTS_EACH: usize = 3;

/// Connections to the upstream that every contender may have.
const CONNECTIONS_MAX: usize = 64;

/// Time that the upstream takes while connections pile up.
const PILE_UP: Duration = Duration::from_millis(150);

const FIELDS: [&str; 10] = [
    "id",
    "title",
    "price",
    "inStock",
    "tags",
    "rating",
    "description",
    "vendor",
    "vendor.id",
    "vendor.name",
];

pub(super) fn checks() -> Vec<Check> {
    use Level::{Strict, Work};
    vec![
        Check::new(
            "catalog/product",
            Work,
            "The answer is the upstream's product, whatever it is: random texts, numbers and tags.",
            SOURCE,
            |subject| {
                let turn = subject.upstream()?;
                for _ in 0..10 {
                    asks_for(subject, &turn, &random::product())?;
                }
                Ok(())
            },
        ),
        Check::new(
            "catalog/no-old-product",
            Work,
            "A product that changes upstream has changed on the next request: nothing is kept.",
            SOURCE,
            |subject| {
                let turn = subject.upstream()?;
                for _ in 0..REQUESTS {
                    // As the one before, but for its price.
                    let price = f64::from(fastrand::u32(1..1_000_000)) / 100.0;
                    let known = schema::json::from_slice(schema::fixtures::PRODUCT_JSON.as_bytes());
                    let product: Product<'_> = known.map_err(|_| anyhow::anyhow!("the product of schema/"))?;
                    asks_for(subject, &turn, &Product { price, ..product })?;
                }
                Ok(())
            },
        ),
        Check::new(
            "catalog/one-call",
            Work,
            "Every request calls the upstream once: answers and calls are as many.",
            SOURCE_OF_CALL,
            one_call,
        ),
        Check::new(
            "catalog/call",
            Work,
            "The call is `GET {UPSTREAM_URL}/data` and carries the key.",
            SOURCE_OF_CALL,
            |subject| {
                let turn = subject.upstream()?;
                subject.ask(subject.get(routes::CATALOG))?;
                let calls = turn.calls();
                let Some(call) = calls.first() else {
                    return Err(Failure::new("a call of the upstream", "none").into());
                };
                ensure(call.line == "GET /data", "the call GET /data", call.line.clone())?;
                Ok(ensure(call.has_key, "Authorization: Bearer <UPSTREAM_API_KEY>", "a call without the key")?)
            },
        ),
        Check::new(
            "catalog/decodes",
            Work,
            "The upstream's bytes do not pass through: white space, escapes and another order of the fields are decoded.",
            "docs/CONTRACT.md#endpoints-of-the-target; RFC 8259, 7",
            decodes,
        ),
        Check::new(
            "catalog/at-once",
            Work,
            "On 100 connections at once every answer is the product.",
            SOURCE,
            |subject| {
                let turn = subject.upstream()?;
                let product = random::product();
                turn.serve(random::javascript(&product));
                let lists = vec![vec![subject.get(routes::CATALOG); subject.each(REQUESTS_EACH)]; CONNECTIONS];
                for exchange in subject.client.at_once(lists).into_iter().flatten() {
                    exchange?.is(200, &value(&product))?;
                }
                Ok(())
            },
        ),
        Check::new(
            "catalog/64-connections",
            Strict,
            "However many requests come at once, no more than 64 calls of the upstream are in flight.",
            "docs/CONTRACT.md#environment",
            |subject| {
                let turn = subject.upstream()?;
                let product = schema::fixtures::PRODUCT_JSON.as_bytes();
                turn.behave(Behaviour::Product(product.into(), PILE_UP));
                let lists = vec![vec![subject.get(routes::CATALOG)]; CONNECTIONS];
                for exchange in subject.client.at_once(lists).into_iter().flatten() {
                    exchange?.has_status(200)?;
                }
                let most = turn.in_flight_max();
                Ok(ensure(most <= CONNECTIONS_MAX, "at most 64 calls in flight", format!("{most}"))?)
            },
        )
        // A contender that serves one request at a time keeps everybody waiting meanwhile.
        .fault(),
        Check::new(
            "catalog/field-order",
            Strict,
            "The fields come in the contract's order, in whatever order the upstream sent them.",
            SOURCE,
            |subject| {
                let turn = subject.upstream()?;
                turn.serve(
                    r#"{"vendor":{"name":"a","id":"b"},"description":"c","rating":1,"tags":["keyboard"],"inStock":true,"price":2,"title":"d","id":"prod-1"}"#,
                );
                Ok(in_order(&subject.ask(subject.get(routes::CATALOG))?, &FIELDS)?)
            },
        ),
        Check::new(
            "catalog/unknown-fields",
            Strict,
            "Fields that the contract does not know are dropped.",
            SOURCE,
            |subject| {
                let turn = subject.upstream()?;
                let product = random::product();
                let mut more = value(&product);
                more["extra"] = Value::from("x");
                more["vendor"]["extra"] = Value::from(1);
                turn.serve(more.to_string());
                Ok(subject.ask(subject.get(routes::CATALOG))?.is(200, &value(&product))?)
            },
        ),
        Check::new(
            "catalog/content-type",
            Strict,
            "The content type is `application/json`.",
            SOURCE,
            |subject| {
                let _turn = subject.upstream_if_any();
                Ok(subject.ask(subject.get(routes::CATALOG))?.is_json_typed()?)
            },
        ),
        Check::new(
            "catalog/proxy",
            Strict,
            "`GET /proxy` is an alias of `GET /catalog`.",
            SOURCE,
            |subject| {
                let turn = subject.upstream()?;
                let product = random::product();
                turn.serve(random::javascript(&product));
                Ok(subject.ask(subject.get(routes::PROXY))?.is(200, &value(&product))?)
            },
        ),
    ]
    .into_iter()
    .map(|check| match check.slug.as_str() {
        "catalog/content-type" => check,
        _ => check.needs(&[Side::Upstream]),
    })
    .collect()
}

/// Serves a product and asks for it.
fn asks_for(subject: &Subject, turn: &Turn<'_>, product: &Product<'_>) -> Verdict {
    turn.serve(random::javascript(product));
    let exchange = subject.ask(subject.get(routes::CATALOG))?;
    Ok(exchange.is(200, &value(product))?)
}

fn one_call(subject: &Subject) -> Verdict {
    let turn = subject.upstream()?;
    let mut answers = 0;
    let mut conversation = subject.client.conversation();
    for _ in 0..REQUESTS {
        conversation
            .ask(subject.get(routes::CATALOG))?
            .has_status(200)?;
        answers += 1;
    }
    let lists = vec![vec![subject.get(routes::CATALOG); subject.each(REQUESTS_EACH)]; CONNECTIONS];
    for exchange in subject.client.at_once(lists).into_iter().flatten() {
        exchange?.has_status(200)?;
        answers += 1;
    }
    let calls = turn.calls().len();
    Ok(ensure(
        calls == answers,
        format!("{answers} calls of the upstream for {answers} answers"),
        format!("{calls} calls"),
    )?)
}

fn decodes(subject: &Subject) -> Verdict {
    let turn = subject.upstream()?;
    let product = Product {
        description: "Ab/c".into(),
        ..random::product()
    };
    let compact = value(&product);
    let field = |name: &str| compact[name].to_string();
    // \u0041 is "A": no encoder writes it so.
    let upstreams = format!(
        "{{\n \"vendor\" : {},\r\n \"description\":\t\"\\u0041\\u0062\\/c\", \"rating\": {},\n \"tags\": {},\n \"inStock\": {}, \"price\": {}, \"title\": {}, \"id\": \"prod\\u002d1\" }}\n",
        field("vendor"),
        field("rating"),
        field("tags"),
        field("inStock"),
        field("price"),
        field("title")
    );
    turn.serve(upstreams.clone());
    let exchange = subject.ask(subject.get(routes::CATALOG))?;
    exchange.is(200, &compact)?;
    let text = exchange.answer.text();
    if text.trim() == upstreams.trim() || text.contains("\\u0041") {
        return Err(exchange
            .failure("a product that was decoded and encoded, not the upstream's bytes")
            .into());
    }
    Ok(())
}
