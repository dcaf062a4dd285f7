//! Mutants of `GET /catalog`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use schema::routes::{CATALOG, PROXY};
use schema::{ErrorCode, Product, fixtures};
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::call::{Call, Kind, encoded, on, with_call, with_response};
use crate::mutant::{
    Mutant, changed, error, json, keep_first, set_header, set_status, success, text,
};

pub(crate) fn mutants() -> Vec<Mutant> {
    let products = Mutex::new(HashMap::new());
    vec![
        Mutant::first_fails("catalog-fails-the-first-time", "catalog/200", CATALOG),
        Mutant::change(
            "catalog-is-202",
            "catalog/200 catalog/* http/any-client",
            success(CATALOG),
            set_status(202),
        ),
        Mutant::change(
            "catalog-has-no-name-of-a-vendor",
            "catalog/200 catalog/* http/any-client",
            success(CATALOG),
            text(|text| format!("{}}}}}", text.rsplit_once(",\"name\":").unwrap().0)),
        ),
        Mutant::change(
            "catalog-has-one-title",
            "catalog/product catalog/decodes catalog/at-once catalog/unknown-fields http/any-client",
            success(CATALOG),
            text(|text| {
                let mut product: Product<'_> = serde_json::from_str(text).unwrap();
                product.title = "Mechanical Keyboard".into();
                serde_json::to_string(&product).unwrap()
            }),
        ),
        // Calls the upstream every time, but responds with the first product of a title.
        Mutant::change(
            "catalog-keeps-a-product-by-its-title",
            "catalog/no-old-product",
            success(CATALOG),
            move |_, response| {
                let product: Value = serde_json::from_slice(response.body()).unwrap();
                keep_first(&products, product["title"].to_string(), response);
            },
        ),
        Mutant::twice("catalog-calls-twice", "catalog/one-call", CATALOG),
        shares_a_call(),
        with_call(
            "catalog-calls-with-a-query",
            "catalog/call",
            Call {
                target: "/data?fresh=1",
                ..Call::RIGHT
            },
        ),
        Mutant::honest(
            "catalog-calls-with-another-key",
            "catalog/call catalog/* http/any-client ready/200",
        )
        .with_variables(&[("UPSTREAM_API_KEY", "upk_other")]),
        Mutant::change(
            "catalog-keeps-escapes",
            "catalog/decodes",
            success(CATALOG),
            text(|text| text.replace("\"Ab/c\"", r#""\u0041\u0062\/c""#)),
        ),
        Mutant::mixes_up("catalog-mixes-up-responses", "catalog/at-once", CATALOG),
        Mutant::honest("catalog-makes-100-calls-at-once", "catalog/64-connections")
            .with_variables(&[("UPSTREAM_POOL_SIZE", "100")])
            .with_faults(),
        Mutant::change(
            "catalog-in-another-order",
            "catalog/field-order",
            success(CATALOG),
            text(|text| {
                let id = "\"id\":\"prod-1\"";
                let others = text.replacen(&format!("{id},"), "", 1);
                format!("{},{id}}}", others.strip_suffix('}').unwrap())
            }),
        ),
        with_response(
            "catalog-keeps-unknown-fields",
            "catalog/unknown-fields",
            on(Kind::Product, |body| json(200, with_unknown_fields(body))),
        ),
        Mutant::change(
            "catalog-as-text",
            "catalog/content-type catalog/head",
            success(CATALOG),
            set_header(CONTENT_TYPE, "text/plain"),
        ),
        Mutant::instead("catalog-has-no-alias", "catalog/proxy", |request| {
            (request.uri().path() == PROXY).then(|| error(ErrorCode::NotFound))
        }),
    ]
}

/// Encodes a product, with the fields that the contract does not know.
fn with_unknown_fields(body: &[u8]) -> String {
    let mut fields: Map<String, Value> = serde_json::from_slice(body).unwrap();
    let known: Map<String, Value> = serde_json::from_str(fixtures::PRODUCT_JSON).unwrap();
    fields.retain(|name, _| !known.contains_key(name));
    let product = encoded(body);
    let mut text = product.strip_suffix('}').unwrap().to_owned();
    for (name, value) in fields {
        text += &format!(",\"{name}\":{value}");
    }
    text + "}"
}

/// Responds with the result of a call that was in flight when the request came.
fn shares_a_call() -> Mutant {
    let last = Arc::new(tokio::sync::Mutex::new(None::<(Instant, Bytes)>));
    Mutant::new(
        "catalog-shares-a-call",
        "catalog/one-call",
        move |target, request| {
            let last = Arc::clone(&last);
            async move {
                if request.uri().path() != CATALOG || request.method() != Method::GET {
                    return target.respond(request).await;
                }
                let received = Instant::now();
                let mut last = last.lock().await;
                if let Some((finished, body)) = &*last
                    && *finished > received
                {
                    return json(200, body.clone());
                }
                let response = target.respond(request).await;
                changed(response, |response| {
                    *last = Some((Instant::now(), response.body().clone()));
                })
                .await
            }
        },
    )
}
