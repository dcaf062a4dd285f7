//! `GET /catalog`: the upstream is called, its response decoded and encoded, on every request.

use std::time::Duration;

use schema::{Product, fixtures, routes};
use serde_json::Value;

use super::{ENDPOINTS, Group, value};
use crate::upstream::Behaviour;
use crate::verdict::{Failure, Verdict, ensure};
use crate::{Check, Dependency, Subject, random};

/// Requests of a check that counts: more than the warm-up of a service that works only at first.
const REQUESTS: usize = 150;

/// Requests per connection when all connections send at once.
const REQUESTS_EACH: usize = 3;

/// Most connections to the upstream of a contender.
const CONNECTIONS_MAX: usize = 64;

/// Delay of the upstream while calls pile up.
const PILE_UP: Duration = Duration::from_millis(150);

pub(super) fn checks() -> Vec<Check> {
    let work = Group::work(ENDPOINTS).needs(&[Dependency::Upstream]);
    let strict = Group::strict(ENDPOINTS).needs(&[Dependency::Upstream]);
    let of_call = work.source("docs/CONTRACT.md#the-upstream");
    vec![
        work.check(
            "catalog/product",
            "The response is the upstream's product, with random texts, numbers and tags.",
            |subject| are_products(subject, (0..10).map(|_| Ok(random::product()))),
        ),
        work.check(
            "catalog/no-old-product",
            "A product that changes upstream has changed on the next request: nothing is cached.",
            no_old_product,
        ),
        of_call.check(
            "catalog/one-call",
            "Every request calls the upstream once: there are as many calls as responses.",
            one_call,
        ),
        of_call.check(
            "catalog/call",
            "The call is `GET {UPSTREAM_URL}/data` and carries the key.",
            |subject| {
                let upstream = subject.upstream()?;
                subject.send(subject.get(routes::CATALOG))?;
                let calls = upstream.calls();
                let Some(call) = calls.first() else {
                    return Err(Failure::new("a call of the upstream", "none").into());
                };
                let line = call.line.clone();
                ensure(line == "GET /data", "the call GET /data", line)?;
                let expected = "Authorization: Bearer <UPSTREAM_API_KEY>";
                ensure(call.has_key, expected, "a call without the key")
            },
        ),
        work.source("docs/CONTRACT.md#endpoints-of-the-target; RFC 8259, 7").check(
            "catalog/decodes",
            "The upstream's response is decoded and encoded: its white space, escapes and order of fields do not pass through.",
            decodes,
        ),
        work.check(
            "catalog/at-once",
            "On 100 connections at once every response is the product.",
            |subject| {
                let upstream = subject.upstream()?;
                let product = random::product();
                upstream.serve(random::javascript(&product));
                for exchange in subject.send_burst(&subject.get(routes::CATALOG), REQUESTS_EACH) {
                    exchange?.is(200, &value(&product))?;
                }
                Ok(())
            },
        ),
        // A fault, because a contender that handles one request at a time delays all others.
        strict.faults().source("docs/CONTRACT.md#environment").check(
            "catalog/64-connections",
            "At most 64 calls of the upstream are in flight, however many requests come at once.",
            |subject| {
                let upstream = subject.upstream()?;
                let product = fixtures::PRODUCT_JSON.as_bytes();
                upstream.behave(Behaviour::Product(product.into(), PILE_UP));
                for exchange in subject.send_burst(&subject.get(routes::CATALOG), 1) {
                    exchange?.has_status(200)?;
                }
                let most = upstream.in_flight_max();
                let expected = "at most 64 calls in flight";
                ensure(most <= CONNECTIONS_MAX, expected, most.to_string())
            },
        ),
        strict.check(
            "catalog/field-order",
            "The fields come in the contract's order, whatever the order of the upstream.",
            |subject| {
                let upstream = subject.upstream()?;
                upstream.serve(
                    r#"{"vendor":{"name":"a","id":"b"},"description":"c","rating":1,"tags":["keyboard"],"inStock":true,"price":2,"title":"d","id":"prod-1"}"#,
                );
                let order = "id title price inStock tags rating description vendor vendor.id vendor.name";
                let exchange = subject.send(subject.get(routes::CATALOG))?;
                exchange.has_fields_in_order(order)
            },
        ),
        strict.check(
            "catalog/unknown-fields",
            "Fields that the contract does not know are dropped.",
            |subject| {
                let upstream = subject.upstream()?;
                let product = value(&random::product());
                let mut extended = product.clone();
                extended["extra"] = Value::from("x");
                extended["vendor"]["extra"] = Value::from(1);
                upstream.serve(extended.to_string());
                subject.send(subject.get(routes::CATALOG))?.is(200, &product)
            },
        ),
        strict.needs(&[]).check(
            "catalog/content-type",
            "The content type is `application/json`.",
            |subject| {
                let _guard = subject.upstream_if_any();
                subject.send(subject.get(routes::CATALOG))?.is_json_typed()
            },
        ),
        strict.check(
            "catalog/proxy",
            "`GET /proxy` is an alias of `GET /catalog`.",
            |subject| {
                let upstream = subject.upstream()?;
                let product = random::product();
                upstream.serve(random::javascript(&product));
                subject.send(subject.get(routes::PROXY))?.is(200, &value(&product))
            },
        ),
    ]
}

/// Serves each product in its turn and fails unless it is the response to the same request on one
/// connection.
fn are_products<'a>(
    subject: &Subject,
    products: impl Iterator<Item = Verdict<Product<'a>>>,
) -> Verdict {
    let upstream = subject.upstream()?;
    let mut connection = subject.client.connection();
    for product in products {
        let product = product?;
        upstream.serve(random::javascript(&product));
        let exchange = connection.send(subject.get(routes::CATALOG))?;
        exchange.is(200, &value(&product))?;
    }
    Ok(())
}

/// Serves the contract's product with another price for each request.
fn no_old_product(subject: &Subject) -> Verdict {
    let products = (0..REQUESTS).map(|_| {
        let price = f64::from(fastrand::u32(1..1_000_000)) / 100.0;
        let known = schema::json::from_slice(fixtures::PRODUCT_JSON.as_bytes());
        let product: Product<'_> = known.map_err(|_| anyhow::anyhow!("the product of schema/"))?;
        Ok(Product { price, ..product })
    });
    are_products(subject, products)
}

fn one_call(subject: &Subject) -> Verdict {
    let upstream = subject.upstream()?;
    let request = subject.get(routes::CATALOG);
    let mut answers = 0;
    let mut connection = subject.client.connection();
    for _ in 0..REQUESTS {
        connection.send(request.clone())?.has_status(200)?;
        answers += 1;
    }
    for exchange in subject.send_burst(&request, REQUESTS_EACH) {
        exchange?.has_status(200)?;
        answers += 1;
    }
    let calls = upstream.calls().len();
    ensure(
        calls == answers,
        format!("{answers} calls of the upstream for {answers} responses"),
        format!("{calls} calls"),
    )
}

fn decodes(subject: &Subject) -> Verdict {
    let upstream = subject.upstream()?;
    let product = Product {
        description: "Ab/c".into(),
        ..random::product()
    };
    let product = value(&product);
    let field = |name: &str| product[name].to_string();
    // \u0041 is "A": no encoder writes it so.
    let served = format!(
        "{{\n \"vendor\" : {},\r\n \"description\":\t\"\\u0041\\u0062\\/c\", \"rating\": {},\n \
         \"tags\": {},\n \"inStock\": {}, \"price\": {}, \"title\": {}, \"id\": \"prod\\u002d1\" }}\n",
        field("vendor"),
        field("rating"),
        field("tags"),
        field("inStock"),
        field("price"),
        field("title")
    );
    upstream.serve(served.clone());
    let exchange = subject.send(subject.get(routes::CATALOG))?;
    exchange.is(200, &product)?;
    let text = exchange.answer.text();
    match text.trim() == served.trim() || text.contains("\\u0041") {
        true => exchange.fail("a product that was decoded and encoded, not the upstream's bytes"),
        false => Ok(()),
    }
}
