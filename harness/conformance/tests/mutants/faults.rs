//! Mutants of the responses while the upstream or the database fails.

mod database;
mod upstream;

use axum::body::Bytes;
use axum::http::Response;
use schema::ErrorCode;
use schema::routes::READY;

use crate::mutant::{Mutant, status};

pub(crate) fn mutants() -> Vec<Mutant> {
    let mut mutants = upstream::mutants();
    mutants.extend(database::mutants());
    mutants
}

/// Creates a mutant whose `GET /ready` ignores one cause.
fn is_ready_without(name: &str, trips: &str, cause: ErrorCode) -> Mutant {
    Mutant::change(
        name,
        trips,
        status(READY, ErrorCode::NotReady),
        move |_, response: &mut Response<Bytes>| {
            let text = String::from_utf8_lossy(response.body());
            if text.contains(&format!("\"{}\"", cause.phrase())) {
                *response = Response::new("ok".into());
            }
        },
    )
}
