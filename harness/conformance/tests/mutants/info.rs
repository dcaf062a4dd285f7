//! Mutants of `GET /info`.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::header::CONTENT_TYPE;
use schema::routes::{INFO, RESPONSE_ID};

use crate::mutant::{Mutant, set_header, set_status, success, text};

pub(crate) fn mutants() -> Vec<Mutant> {
    let counter = AtomicU64::new(0);
    let first_id = OnceLock::new();
    vec![
        Mutant::change(
            "info-is-202",
            "info/200 info/value info/head http/any-client http/pipelined http/431-long-head http/400-not-http",
            success(INFO),
            set_status(202),
        ),
        Mutant::change(
            "info-counts-otherwise",
            "info/value http/any-client http/pipelined",
            success(INFO),
            text(|text| text.replace("\"count\":42", "\"count\":43")),
        ),
        Mutant::change(
            "info-as-text",
            "info/content-type info/head",
            success(INFO),
            set_header(CONTENT_TYPE, "text/plain"),
        ),
        Mutant::change(
            "info-in-snake-case",
            // The body is a byte longer, which the response to HEAD does not announce.
            "info/field-order info/head",
            success(INFO),
            text(|text| text.replace("createdAt", "created_at")),
        ),
        Mutant::change(
            "info-in-another-order",
            "info/field-order",
            success(INFO),
            text(|text| {
                let id = "\"id\":\"info-1\"";
                let others = text.replacen(&format!("{id},"), "", 1);
                format!("{},{id}}}", others.strip_suffix('}').unwrap())
            }),
        ),
        Mutant::change(
            "info-ids-come-from-a-counter",
            "info/random-ids",
            success(INFO),
            move |_, response| {
                let count = counter.fetch_add(1, Ordering::Relaxed);
                let id = format!("f4d1c3a2-7b6e-4d5f-8a9b-{count:012x}");
                let headers = response.headers_mut();
                headers.insert(RESPONSE_ID, id.parse().unwrap());
            },
        ),
        Mutant::change(
            "info-keeps-its-id",
            "info/fresh-ids info/random-ids",
            success(INFO),
            move |_, response| {
                let id = response.headers_mut().get_mut(RESPONSE_ID).unwrap();
                *id = first_id.get_or_init(|| id.clone()).clone();
            },
        ),
    ]
}
