//! The answers as bytes on the wire. Those that never change are made at start from the contract's fixtures.

use std::borrow::Cow;
use std::io::Write;

use http::StatusCode;
use schema::limits::RETRY_AFTER_SECS;
use schema::{Claims, ErrorCode, Movie, UserRef, fixtures, routes};
use serde::Serialize;
use uuid::Uuid;

const JSON: &str = "application/json";

/// The answers that never change.
pub(crate) struct Answers {
    pub(crate) info: Vec<u8>,
    pub(crate) movies: Vec<u8>,
    pub(crate) health: Vec<u8>,
    pub(crate) not_found: Vec<u8>,
}

impl Answers {
    pub(crate) fn new() -> Self {
        let response_id = format!("{}: {}\r\n", routes::RESPONSE_ID, Uuid::new_v4());
        let Claims { sub, name, .. } = fixtures::claims();
        let movie = Movie {
            new: fixtures::new_movie(),
            id: Uuid::new_v4(),
            user: UserRef {
                id: Cow::Owned(sub),
                name: Cow::Owned(name),
            },
        };
        Self {
            info: answer(StatusCode::OK, JSON, &response_id, &json(&fixtures::info())),
            movies: answer(StatusCode::CREATED, JSON, "", &json(&movie)),
            health: answer(StatusCode::OK, "text/plain", "", b"ok"),
            not_found: error(ErrorCode::NotFound),
        }
    }
}

/// Returns an error of the contract.
pub(crate) fn error(code: ErrorCode) -> Vec<u8> {
    let status = StatusCode::from_u16(code.status()).expect("the table holds valid statuses");
    let retry_after = match status {
        StatusCode::SERVICE_UNAVAILABLE => format!("retry-after: {RETRY_AFTER_SECS}\r\n"),
        _ => String::new(),
    };
    answer(status, JSON, &retry_after, code.body().to_json().as_bytes())
}

/// Appends 200 with this JSON to `to`.
pub(crate) fn write_ok(body: &[u8], to: &mut Vec<u8>) {
    write(StatusCode::OK, JSON, "", body, to);
}

fn answer(status: StatusCode, content_type: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    write(status, content_type, headers, body, &mut answer);
    answer
}

fn write(status: StatusCode, content_type: &str, headers: &str, body: &[u8], to: &mut Vec<u8>) {
    let length = body.len();
    write!(
        to,
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n{headers}\r\n"
    )
    .expect("writing to memory never fails");
    to.extend_from_slice(body);
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("fixtures always serialise")
}
