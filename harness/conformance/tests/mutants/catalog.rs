//! Mutants of `GET /catalog`.

mod call;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Method, Request, StatusCode};
use schema::routes::{CATALOG, PROXY};
use schema::{ErrorCode, Product, fixtures};
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::server::{Honest, Mutant, changed, error, json};
pub(crate) use call::{Call, Came, calling, encoded, product};

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::of_first("catalog-fails-the-first-time", &["catalog/200"], CATALOG),
        Mutant::of_answer(
            "catalog-is-202",
            &["catalog/200", "catalog/*", "http/any-client"],
            CATALOG,
            |answer| *answer.status_mut() = StatusCode::ACCEPTED,
        ),
        Mutant::of_text(
            "catalog-has-no-name-of-a-vendor",
            &["catalog/200", "catalog/*", "http/any-client"],
            CATALOG,
            |text| format!("{}}}}}", text.rsplit_once(",\"name\":").unwrap().0),
        ),
        Mutant::of_text(
            "catalog-knows-one-title",
            &[
                "catalog/product",
                "catalog/decodes",
                "catalog/at-once",
                "catalog/unknown-fields",
                "http/any-client",
            ],
            CATALOG,
            |text| {
                let mut product: Product<'_> = serde_json::from_str(text).unwrap();
                product.title = "Mechanical Keyboard".into();
                serde_json::to_string(&product).unwrap()
            },
        ),
        keeps_a_product_by_its_title(),
        Mutant::new(
            "catalog-calls-twice",
            &["catalog/one-call"],
            async |honest: Honest, request: Request<Body>| {
                if request.uri().path() == CATALOG {
                    let mut again = Request::new(Body::empty());
                    *again.uri_mut() = request.uri().clone();
                    honest.answer(again).await;
                }
                honest.answer(request).await
            },
        ),
        shares_a_call(),
        calling(
            "catalog-calls-with-a-query",
            &["catalog/call"],
            Call {
                target: "/data?fresh=1",
                ..Call::RIGHT
            },
            |_| None,
        ),
        Mutant::of_variable(
            "catalog-calls-with-another-key",
            &["catalog/call", "catalog/*", "http/any-client", "ready/200"],
            &[("UPSTREAM_API_KEY", "upk_other")],
        ),
        Mutant::of_text(
            "catalog-keeps-escapes",
            &["catalog/decodes"],
            CATALOG,
            |text| text.replace("\"Ab/c\"", r#""\u0041\u0062\/c""#),
        ),
        Mutant::of_mixing_up("catalog-mixes-up-answers", &["catalog/at-once"], CATALOG),
        Mutant::of_variable(
            "catalog-makes-100-calls-at-once",
            &["catalog/64-connections"],
            &[("UPSTREAM_POOL_SIZE", "100")],
        )
        .with_faults(),
        Mutant::of_text(
            "catalog-in-another-order",
            &["catalog/field-order"],
            CATALOG,
            |text| {
                let id = "\"id\":\"prod-1\"";
                let others = text.replacen(&format!("{id},"), "", 1);
                format!("{},{id}}}", others.strip_suffix('}').unwrap())
            },
        ),
        calling(
            "catalog-keeps-unknown-fields",
            &["catalog/unknown-fields"],
            Call::RIGHT,
            |came| {
                let Came::Product(bytes) = came else {
                    return None;
                };
                let mut fields: Map<String, Value> = serde_json::from_slice(bytes).unwrap();
                let known: Map<String, Value> =
                    serde_json::from_str(fixtures::PRODUCT_JSON).unwrap();
                fields.retain(|name, _| !known.contains_key(name));
                let unknown = fields
                    .iter()
                    .map(|(name, value)| format!(",\"{name}\":{value}"));
                let product = encoded(bytes);
                let product = product.strip_suffix('}').unwrap();
                let whole = format!("{product}{}}}", unknown.collect::<String>());
                Some(json(200, whole))
            },
        ),
        Mutant::new(
            "catalog-as-text",
            &["catalog/content-type"],
            async |honest: Honest, request: Request<Body>| {
                let asked = request.uri().path() == CATALOG;
                let mut answer = honest.answer(request).await;
                if asked && answer.status().is_success() {
                    let text = HeaderValue::from_static("text/plain");
                    answer.headers_mut().insert("content-type", text);
                }
                answer
            },
        ),
        Mutant::new(
            "catalog-has-no-alias",
            &["catalog/proxy"],
            async |honest: Honest, request: Request<Body>| match request.uri().path() {
                PROXY => error(ErrorCode::NotFound),
                _ => honest.answer(request).await,
            },
        ),
    ]
}

/// Calls every time, but takes a product of a known title for the one that it knows.
fn keeps_a_product_by_its_title() -> Mutant {
    let kept = Arc::new(Mutex::new(HashMap::<String, Bytes>::new()));
    Mutant::new(
        "catalog-keeps-a-product-by-its-title",
        &["catalog/no-old-product"],
        move |honest, request| {
            let kept = Arc::clone(&kept);
            async move {
                let asked = request.uri().path() == CATALOG && request.method() == Method::GET;
                let answer = honest.answer(request).await;
                if !asked || !answer.status().is_success() {
                    return answer;
                }
                changed(answer, |answer| {
                    let title = serde_json::from_slice::<Value>(answer.body()).unwrap()["title"]
                        .to_string();
                    let mut kept = kept.lock().unwrap();
                    *answer.body_mut() = kept.entry(title).or_insert(answer.body().clone()).clone();
                })
                .await
            }
        },
    )
}

/// Who asks while a call is in flight waits, and gets what it came to.
fn shares_a_call() -> Mutant {
    let last = Arc::new(tokio::sync::Mutex::new(None::<(Instant, Bytes)>));
    Mutant::new(
        "catalog-shares-a-call",
        &["catalog/one-call"],
        move |honest, request| {
            let last = Arc::clone(&last);
            async move {
                if request.uri().path() != CATALOG || request.method() != Method::GET {
                    return honest.answer(request).await;
                }
                let asked = Instant::now();
                let mut last = last.lock().await;
                if let Some((came, body)) = &*last
                    && *came > asked
                {
                    return json(200, body.clone());
                }
                let answer = honest.answer(request).await;
                changed(answer, |answer| {
                    *last = Some((Instant::now(), answer.body().clone()));
                })
                .await
            }
        },
    )
}
