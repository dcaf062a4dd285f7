//! Mutants of `GET /info`.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode};
use schema::routes::{INFO, RESPONSE_ID};

use crate::server::{Honest, Mutant, changed};

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::of_answer(
            "info-is-202",
            &[
                "info/200",
                "info/value",
                "info/head",
                "http/any-client",
                "http/431-long-head",
                "http/400-not-http",
            ],
            INFO,
            |answer| *answer.status_mut() = StatusCode::ACCEPTED,
        ),
        Mutant::of_text(
            "info-counts-otherwise",
            &["info/value", "http/any-client"],
            INFO,
            |text| text.replace("\"count\":42", "\"count\":43"),
        ),
        Mutant::of_answer(
            "info-as-text",
            &["info/content-type", "info/head"],
            INFO,
            |answer| {
                answer
                    .headers_mut()
                    .insert("content-type", HeaderValue::from_static("text/plain"));
            },
        ),
        Mutant::of_text(
            "info-in-snake-case",
            // A byte longer, which its HEAD does not say.
            &["info/field-order", "info/head"],
            INFO,
            |text| text.replace("createdAt", "created_at"),
        ),
        Mutant::of_text(
            "info-in-another-order",
            &["info/field-order"],
            INFO,
            |text| {
                let id = "\"id\":\"info-1\"";
                let rest = text.replacen(&format!("{id},"), "", 1);
                format!("{},{id}}}", rest.trim_end_matches('}').to_owned() + "}")
            },
        ),
        Mutant::new("info-ids-come-from-a-counter", &["info/random-ids"], {
            static COUNTER: AtomicU64 = AtomicU64::new(0);
            async |honest: Honest, request: Request<Body>| {
                let is_info = request.uri().path() == INFO;
                changed(honest.answer(request).await, |answer| {
                    if is_info {
                        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
                        let id = format!("f4d1c3a2-7b6e-4d5f-8a9b-{count:012x}");
                        answer
                            .headers_mut()
                            .insert(RESPONSE_ID, id.parse().unwrap());
                    }
                })
                .await
            }
        }),
        Mutant::new(
            "info-keeps-its-id",
            &["info/fresh-ids", "info/random-ids"],
            {
                static ID: OnceLock<HeaderValue> = OnceLock::new();
                async |honest: Honest, request: Request<Body>| {
                    changed(honest.answer(request).await, |answer| {
                        if let Some(id) = answer.headers_mut().get_mut(RESPONSE_ID) {
                            *id = ID.get_or_init(|| id.clone()).clone();
                        }
                    })
                    .await
                }
            },
        ),
    ]
}
