//! Mutants of what HTTP asks of every path, and of `GET /health` and `GET /ready`.

use axum::body::{Body, Bytes};
use axum::http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT};
use axum::http::{HeaderValue, Method, Request, Response, StatusCode};
use schema::ErrorCode;
use schema::routes::{CATALOG, HEALTH, INFO, MOVIES, READY, USERS_ME};

use crate::server::{Honest, Mutant, changed, error};

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "only-k6-is-served",
            &["http/any-client"],
            async |honest: Honest, request: Request<Body>| match request.headers()[USER_AGENT]
                == "Grafana k6/1.1.0"
            {
                true => honest.answer(request).await,
                false => error(ErrorCode::NotFound),
            },
        ),
        Mutant::new(
            "a-slash-at-the-end-is-forgiven",
            &["http/404"],
            async |honest: Honest, mut request: Request<Body>| {
                let path = request.uri().path().trim_end_matches('/');
                if !path.is_empty() {
                    *request.uri_mut() = path.parse().unwrap();
                }
                honest.answer(request).await
            },
        ),
        Mutant::new(
            "case-of-letters-is-forgiven",
            &["http/404"],
            async |honest: Honest, mut request: Request<Body>| {
                *request.uri_mut() = request.uri().path().to_lowercase().parse().unwrap();
                honest.answer(request).await
            },
        ),
        of_status(
            "unknown-paths-have-a-page",
            &["http/404"],
            "/no-such-path",
            StatusCode::NOT_FOUND,
            |answer| {
                *answer.body_mut() = "404 page not found".into();
                answer
                    .headers_mut()
                    .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            },
        ),
        of_status(
            "info-knows-one-method",
            &["info/405"],
            INFO,
            StatusCode::METHOD_NOT_ALLOWED,
            |answer| {
                *answer.status_mut() = StatusCode::NOT_FOUND;
            },
        ),
        of_status(
            "movies-allows-nothing",
            &["movies/405"],
            MOVIES,
            StatusCode::METHOD_NOT_ALLOWED,
            |answer| {
                answer.headers_mut().remove(ALLOW);
            },
        ),
        of_status(
            "catalog-allows-another",
            &["catalog/405"],
            CATALOG,
            StatusCode::METHOD_NOT_ALLOWED,
            |answer| {
                answer
                    .headers_mut()
                    .insert(ALLOW, HeaderValue::from_static("POST, OPTIONS"));
            },
        ),
        Mutant::new(
            "a-token-comes-before-a-method",
            &["users-me/405"],
            async |honest: Honest, request: Request<Body>| match request.uri().path() == USERS_ME
                && *request.method() == Method::POST
            {
                true => error(ErrorCode::InvalidToken),
                false => honest.answer(request).await,
            },
        ),
        of_head("info-has-no-head", &["info/head"], INFO, |answer| {
            *answer.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        }),
        of_head(
            "the-head-of-catalog-has-no-type",
            &["catalog/head"],
            CATALOG,
            |answer| {
                answer.headers_mut().remove(CONTENT_TYPE);
            },
        ),
        of_head(
            "the-head-of-me-has-another-length",
            &["users-me/head"],
            USERS_ME,
            |answer| {
                answer
                    .headers_mut()
                    .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
            },
        ),
        Mutant::of_text("health-is-loud", &["health/200"], HEALTH, str::to_uppercase),
        Mutant::of_text("ready-is-json", &["ready/200"], READY, |_| {
            "{\"status\":\"ok\"}".to_owned()
        }),
        honest("a-long-head-is-400", &["http/431-long-head"])
            .on_the_wire(|answer| instead(answer, "HTTP/1.1 431", "HTTP/1.1 400")),
        honest("what-is-not-http-is-500", &["http/400-not-http"]).on_the_wire(|answer| {
            // The contract's own 400 has a body.
            match answer.ends_with(b"\r\n\r\n") {
                true => instead(answer, "HTTP/1.1 400", "HTTP/1.1 500"),
                false => answer,
            }
        }),
    ]
}

/// The real target, for what is changed on the wire.
fn honest(name: &'static str, trips: &'static [&'static str]) -> Mutant {
    Mutant::new(name, trips, async |honest: Honest, request| {
        honest.answer(request).await
    })
}

/// Changes the answers of this status to a path.
fn of_status(
    name: &'static str,
    trips: &'static [&'static str],
    path: &'static str,
    status: StatusCode,
    change: fn(&mut Response<Bytes>),
) -> Mutant {
    Mutant::new(name, trips, move |honest, request| async move {
        let asked = request.uri().path() == path;
        let answer = honest.answer(request).await;
        match asked && answer.status() == status {
            true => changed(answer, change).await,
            false => answer,
        }
    })
}

/// Changes the answers to `HEAD` of a path.
fn of_head(
    name: &'static str,
    trips: &'static [&'static str],
    path: &'static str,
    change: fn(&mut Response<Body>),
) -> Mutant {
    Mutant::new(name, trips, move |honest, request| async move {
        let asked = request.uri().path() == path && request.method() == Method::HEAD;
        let mut answer = honest.answer(request).await;
        if asked {
            change(&mut answer);
        }
        answer
    })
}

/// The answer with this beginning instead of that.
fn instead(answer: Vec<u8>, that: &str, this: &str) -> Vec<u8> {
    match answer.strip_prefix(that.as_bytes()) {
        Some(rest) => [this.as_bytes(), rest].concat(),
        None => answer,
    }
}
