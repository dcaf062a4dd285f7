//! Cheaters that answer what was never worked out.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::http::header::USER_AGENT;
use axum::http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use schema::routes::{CATALOG, INFO, MOVIES, PROXY, RESPONSE_ID, USERS_ME};
use serde_json::Value;

use crate::catalog::{Call, Came, calling};
use crate::server::{Honest, Mutant, changed, json};

/// What shows that nothing is worked out, and whatever else a service does that answers one thing.
const EVERYTHING: &[&str] = &[
    "info/200",
    "movies/201",
    "catalog/200",
    "users-me/200",
    "info/value",
    "info/fresh-ids",
    "info/random-ids",
    "movies/echo",
    "movies/integer-rating",
    "movies/decodes",
    "movies/user",
    "movies/fresh-ids",
    "movies/random-ids",
    "movies/at-once",
    "catalog/product",
    "catalog/no-old-product",
    "catalog/one-call",
    "catalog/call",
    "catalog/decodes",
    "catalog/at-once",
    "users-me/row",
    "users-me/changed-row",
    "users-me/one-query",
    "users-me/at-once",
    "*/refuses-*",
    "http/any-client",
    "*",
];

/// What shows that a body is none.
const EVERY_BODY: &[&str] = &[
    "movies/201",
    "catalog/200",
    "users-me/200",
    "info/value",
    "info/field-order",
    "movies/echo",
    "movies/integer-rating",
    "movies/decodes",
    "movies/user",
    "movies/fresh-ids",
    "movies/random-ids",
    "movies/at-once",
    "movies/field-order",
    "movies/201-*",
    "movies/accepts-*",
    "catalog/product",
    "catalog/no-old-product",
    "catalog/decodes",
    "catalog/at-once",
    "catalog/field-order",
    "catalog/unknown-fields",
    "catalog/proxy",
    "users-me/row",
    "users-me/changed-row",
    "users-me/at-once",
    "users-me/field-order",
    "users-me/accepts-*",
    "http/any-client",
];

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "an-empty-object-for-everything",
            EVERYTHING,
            async |_: Honest, _: Request<Body>| json(200, "{}"),
        ),
        Mutant::new(
            "empty-objects-of-the-right-status",
            EVERY_BODY,
            async |honest: Honest, request: Request<Body>| {
                instead_of_success(honest, request, "{}").await
            },
        ),
        Mutant::new(
            "errors-of-the-right-status",
            EVERY_BODY,
            async |honest: Honest, request: Request<Body>| {
                instead_of_success(honest, request, r#"{"error":"internal error"}"#).await
            },
        ),
        Mutant::new(
            "every-id-comes-from-a-counter",
            &["info/random-ids", "movies/random-ids"],
            async |honest: Honest, request: Request<Body>| counted(honest, request).await,
        ),
        splices_the_body(),
        calling(
            "passes-the-upstreams-bytes-through",
            &[
                "catalog/decodes",
                "catalog/field-order",
                "catalog/unknown-fields",
            ],
            Call::RIGHT,
            |came| match came {
                Came::Product(bytes) => Some(json(200, bytes.clone())),
                _ => None,
            },
        ),
        Mutant::new(
            "works-for-k6-only",
            &["http/any-client"],
            async |honest: Honest, request: Request<Body>| {
                let name = request.headers().get(USER_AGENT);
                match name.is_none_or(|name| name == "Grafana k6/1.1.0") {
                    true => honest.answer(request).await,
                    false => instead_of_success(honest, request, "{}").await,
                }
            },
        ),
        Mutant::new(
            "announces-a-byte-less",
            &[
                "info/value",
                "info/field-order",
                "info/head",
                "http/any-client",
            ],
            async |honest: Honest, request: Request<Body>| honest.answer(request).await,
        )
        .on_the_wire(|answer| announces(answer, |length| length.saturating_sub(1))),
        Mutant::new(
            "announces-a-byte-more",
            &[
                "info/*",
                "info/200",
                "info/value",
                "info/fresh-ids",
                "info/random-ids",
                "http/any-client",
                "http/431-long-head",
                "http/400-not-http",
            ],
            async |honest: Honest, request: Request<Body>| honest.answer(request).await,
        )
        .on_the_wire(|answer| announces(answer, |length| length + 1)),
    ]
}

/// The honest answer, but a success has this body.
async fn instead_of_success(
    honest: Honest,
    request: Request<Body>,
    body: &'static str,
) -> Response<Body> {
    let works = [INFO, MOVIES, CATALOG, PROXY, USERS_ME].contains(&request.uri().path());
    let answer = honest.answer(request).await;
    match answer.status().is_success() && works {
        true => changed(answer, |answer| *answer.body_mut() = body.into()).await,
        false => answer,
    }
}

/// Ids in the form of v4 that only count.
async fn counted(honest: Honest, request: Request<Body>) -> Response<Body> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let id = format!(
        "f4d1c3a2-7b6e-4d5f-8a9b-{:012x}",
        COUNTER.fetch_add(1, Ordering::Relaxed)
    );
    let path = request.uri().path().to_owned();
    let answer = honest.answer(request).await;
    changed(answer, |answer| {
        if path == INFO && answer.status() == StatusCode::OK {
            answer
                .headers_mut()
                .insert(RESPONSE_ID, id.parse().unwrap());
        }
        if path == MOVIES && answer.status() == StatusCode::CREATED {
            let movie: Value = serde_json::from_slice(answer.body()).unwrap();
            let text = String::from_utf8_lossy(answer.body());
            *answer.body_mut() = text.replace(movie["id"].as_str().unwrap(), &id).into();
        }
    })
    .await
}

/// Answers the movie's own bytes, with the id and the user before the last brace.
fn splices_the_body() -> Mutant {
    Mutant::new(
        "splices-the-body-into-the-answer",
        &[
            "movies/decodes",
            "movies/field-order",
            "movies/201-unknown-fields",
            "movies/201-depth-128",
        ],
        async |honest: Honest, request: Request<Body>| {
            let sent = Arc::new(Mutex::new(Vec::new()));
            let seen = Arc::clone(&sent);
            let request = request.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    let bytes = frame.data_ref().map(Bytes::as_ref);
                    seen.lock()
                        .unwrap()
                        .extend_from_slice(bytes.unwrap_or_default());
                    frame
                }))
            });
            let answer = honest.answer(request).await;
            if answer.status() != StatusCode::CREATED {
                return answer;
            }
            changed(answer, |answer| {
                let text = String::from_utf8_lossy(answer.body()).into_owned();
                let (_, added) = text.rsplit_once(",\"id\":").unwrap();
                let sent = String::from_utf8(sent.lock().unwrap().clone()).unwrap();
                let fields = sent.trim_end().strip_suffix('}').unwrap();
                *answer.body_mut() = format!("{fields},\"id\":{added}").into();
            })
            .await
        },
    )
}

/// The answer of `GET /info` with another content length than its body's.
fn announces(answer: Vec<u8>, change: fn(usize) -> usize) -> Vec<u8> {
    const LENGTH: &str = "content-length: ";
    let text = String::from_utf8_lossy(&answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return answer;
    };
    if !head.contains(RESPONSE_ID) || body.is_empty() {
        return answer;
    }
    let length = format!("{LENGTH}{}", body.len());
    let other = format!("{LENGTH}{}", change(body.len()));
    text.replacen(&length, &other, 1).into_bytes()
}
