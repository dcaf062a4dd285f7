//! Mutants of what HTTP requires of every path, and of `GET /health` and `GET /ready`.

use axum::http::Method;
use axum::http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT};
use schema::ErrorCode::{InvalidToken, MethodNotAllowed, NotFound};
use schema::routes::{CATALOG, HEALTH, INFO, MOVIES, READY, USERS_ME};

use crate::mutant::{
    Mutant, error, head, remove_header, set_header, set_status, status, success, text,
};

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::instead("only-k6-is-served", "http/any-client", |request| {
            let is_k6 = request.headers()[USER_AGENT] == "Grafana k6/1.1.0";
            (!is_k6).then(|| error(NotFound))
        }),
        Mutant::rewrite("trailing-slash-is-ignored", "http/404", |request| {
            let path = request.uri().path().trim_end_matches('/');
            if !path.is_empty() {
                *request.uri_mut() = path.parse().unwrap();
            }
        }),
        Mutant::rewrite("case-of-paths-is-ignored", "http/404", |request| {
            *request.uri_mut() = request.uri().path().to_lowercase().parse().unwrap();
        }),
        Mutant::change(
            "unknown-paths-have-a-page",
            "http/404",
            status("/no-such-path", NotFound),
            |sent, response| {
                *response.body_mut() = "404 page not found".into();
                set_header(CONTENT_TYPE, "text/plain")(sent, response);
            },
        ),
        Mutant::change(
            "info-405-is-404",
            "info/405",
            status(INFO, MethodNotAllowed),
            set_status(404),
        ),
        Mutant::change(
            "movies-405-has-no-allow",
            "movies/405",
            status(MOVIES, MethodNotAllowed),
            remove_header(ALLOW),
        ),
        Mutant::change(
            "catalog-allows-another-method",
            "catalog/405",
            status(CATALOG, MethodNotAllowed),
            set_header(ALLOW, "POST, OPTIONS"),
        ),
        Mutant::instead("token-comes-before-method", "users-me/405", |request| {
            let is_post = request.uri().path() == USERS_ME && *request.method() == Method::POST;
            is_post.then(|| error(InvalidToken))
        }),
        Mutant::change("info-has-no-head", "info/head", head(INFO), set_status(405)),
        Mutant::change(
            "head-of-catalog-has-no-type",
            "catalog/head",
            head(CATALOG),
            remove_header(CONTENT_TYPE),
        ),
        Mutant::change(
            "head-of-users-me-has-another-length",
            "users-me/head",
            head(USERS_ME),
            set_header(CONTENT_LENGTH, "0"),
        ),
        Mutant::change(
            "health-is-in-capitals",
            "health/200",
            success(HEALTH),
            text(str::to_uppercase),
        ),
        Mutant::change(
            "ready-is-json",
            "ready/200",
            success(READY),
            text(|_| "{\"status\":\"ok\"}".to_owned()),
        ),
        Mutant::honest("heads-come-at-once", "http/split-requests").on_each_read(|bytes| {
            let is_head = bytes[0].is_ascii_uppercase();
            match is_head && head_length(bytes).is_none() {
                true => 0,
                false => bytes.len(),
            }
        }),
        Mutant::honest("movies-come-at-once", "http/split-requests").on_each_read(|bytes| {
            let body = head_length(bytes).map_or(&[][..], |length| &bytes[length..]);
            match body.starts_with(b"{\"title") && !body.contains(&b'}') {
                true => 0,
                false => bytes.len(),
            }
        }),
        Mutant::honest("requests-come-one-by-one", "http/pipelined").on_each_read(|bytes| {
            let is_get = bytes.starts_with(b"GET ");
            let head = head_length(bytes).filter(|_| is_get);
            head.unwrap_or(bytes.len())
        }),
        Mutant::honest("long-head-is-400", "http/431-long-head")
            .on_the_wire(|response| replace_start(response, "HTTP/1.1 431", "HTTP/1.1 400")),
        Mutant::honest("not-http-is-500", "http/400-not-http").on_the_wire(|response| {
            // The contract's own 400 has a body.
            match response.ends_with(b"\r\n\r\n") {
                true => replace_start(response, "HTTP/1.1 400", "HTTP/1.1 500"),
                false => response,
            }
        }),
    ]
}

/// Returns the length of the head, with its empty line, that these bytes start with.
fn head_length(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    end.map(|end| end + 4)
}

fn replace_start(response: Vec<u8>, old: &str, new: &str) -> Vec<u8> {
    match response.strip_prefix(old.as_bytes()) {
        Some(rest) => [new.as_bytes(), rest].concat(),
        None => response,
    }
}
