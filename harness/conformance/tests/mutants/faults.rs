//! Mutants of what is answered while the upstream or the database fails.

mod database;
mod upstream;

use axum::body::Body;
use axum::http::{Request, Response};
use schema::ErrorCode;
use schema::routes::READY;

use crate::server::{Honest, Mutant, changed};

pub(crate) fn mutants() -> Vec<Mutant> {
    let mut mutants = upstream::mutants();
    mutants.extend(database::mutants());
    mutants
}

/// `GET /ready` that says ok when only this fails.
async fn ready_without(
    cause: ErrorCode,
    honest: &Honest,
    request: Request<Body>,
) -> Response<Body> {
    let asked = request.uri().path() == READY;
    let answer = honest.answer(request).await;
    if !asked || answer.status().is_success() {
        return answer;
    }
    changed(answer, |answer| {
        let text = String::from_utf8_lossy(answer.body());
        if text.contains(&format!("\"{}\"", cause.phrase())) {
            *answer = Response::new("ok".into());
        }
    })
    .await
}
