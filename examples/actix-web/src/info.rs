//! `GET /info`: a typed value as JSON.

use actix_web::{HttpResponse, route};
use serde::Serialize;
use uuid::Uuid;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    id: &'static str,
    name: &'static str,
    count: u32,
    ratio: f64,
    active: bool,
    tags: [&'static str; 3],
    created_at: &'static str,
    nested: Nested,
}

#[derive(Serialize)]
struct Nested {
    level: u32,
    label: &'static str,
}

#[route("/info", method = "GET", method = "HEAD")]
pub async fn info() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(("x-response-id", Uuid::new_v4().to_string()))
        .json(Info {
            id: "info-1",
            name: "Benchmark Info",
            count: 42,
            #[expect(clippy::approx_constant, reason = "the contract's value")]
            ratio: 3.14159,
            active: true,
            tags: ["alpha", "beta", "gamma"],
            created_at: "2026-01-01T00:00:00Z",
            nested: Nested {
                level: 2,
                label: "nested",
            },
        })
}
