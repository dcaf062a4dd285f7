//! Mutants of `GET /users/me`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schema::routes::USERS_ME;
use schema::{Claims, ErrorCode};

use crate::server::{Honest, Mutant, changed, error};

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::of_first("users-me-fails-the-first-time", &["users-me/200"], USERS_ME),
        Mutant::of_answer(
            "users-me-is-202",
            &["users-me/200", "users-me/*", "http/any-client"],
            USERS_ME,
            |answer| *answer.status_mut() = StatusCode::ACCEPTED,
        ),
        Mutant::of_text(
            "users-me-has-no-city",
            &["users-me/200", "users-me/*", "http/any-client"],
            USERS_ME,
            |text| {
                let (before, rest) = text.split_once(",\"city\":").unwrap();
                let (_, country) = rest.rsplit_once(",\"country\":").unwrap();
                format!("{before},\"country\":{country}")
            },
        ),
        Mutant::new(
            "users-me-keeps-the-row-of-a-connection",
            &["users-me/row", "users-me/changed-row"],
            honest,
        )
        .on_the_wire(keeps_the_first_row),
        Mutant::new(
            "users-me-takes-the-name-from-the-token",
            &["users-me/changed-row", "users-me/accepts-*"],
            async |honest: Honest, request: Request<Body>| {
                let name = claims(&request).map(|claims| claims.name);
                let asked = request.uri().path() == USERS_ME && request.method() == Method::GET;
                let answer = honest.answer(request).await;
                if !asked || !answer.status().is_success() {
                    return answer;
                }
                changed(answer, |answer| {
                    let mut profile: schema::Profile =
                        serde_json::from_slice(answer.body()).unwrap();
                    profile.name = name.unwrap();
                    *answer.body_mut() = serde_json::to_vec(&profile).unwrap().into();
                })
                .await
            },
        ),
        keeps_the_row_of_a_token(),
        Mutant::new(
            "users-me-asks-twice",
            &["users-me/one-query"],
            async |honest: Honest, request: Request<Body>| {
                if request.uri().path() == USERS_ME {
                    let mut again = Request::new(Body::empty());
                    *again.uri_mut() = request.uri().clone();
                    *again.headers_mut() = request.headers().clone();
                    honest.answer(again).await;
                }
                honest.answer(request).await
            },
        ),
        Mutant::of_mixing_up("users-me-mixes-up-answers", &["users-me/at-once"], USERS_ME),
        has_68_connections(),
        Mutant::of_text(
            "users-me-in-another-order",
            &["users-me/field-order"],
            USERS_ME,
            |text| {
                let (city, country) = text.rsplit_once(",\"country\":").unwrap();
                let country = country.strip_suffix('}').unwrap();
                format!(
                    "{{\"country\":{country},{}}}",
                    city.strip_prefix('{').unwrap()
                )
            },
        ),
        Mutant::new(
            "users-me-as-text",
            &["users-me/content-type"],
            async |honest: Honest, request: Request<Body>| {
                let asked = request.uri().path() == USERS_ME;
                let mut answer = honest.answer(request).await;
                if asked && answer.status().is_success() {
                    let text = HeaderValue::from_static("text/plain");
                    answer.headers_mut().insert("content-type", text);
                }
                answer
            },
        ),
        Mutant::new(
            "users-me-of-nobody-is-401",
            &["users-me/404-no-such-user"],
            async |honest: Honest, request: Request<Body>| {
                let asked = request.uri().path() == USERS_ME && !has_nul(&request);
                let answer = honest.answer(request).await;
                match asked && answer.status() == StatusCode::NOT_FOUND {
                    true => error(ErrorCode::InvalidToken),
                    false => answer,
                }
            },
        ),
        Mutant::new(
            "users-me-of-a-nul-is-503",
            &["users-me/404-nul"],
            async |honest: Honest, request: Request<Body>| {
                let asked = request.uri().path() == USERS_ME && has_nul(&request);
                let answer = honest.answer(request).await;
                match asked && answer.status() == StatusCode::NOT_FOUND {
                    true => error(ErrorCode::DatabaseUnavailable),
                    false => answer,
                }
            },
        ),
        Mutant::new(
            "users-me-overlooks-a-nul",
            &["users-me/404-nul"],
            async |honest: Honest, request: Request<Body>| match claims(&request) {
                Some(claims) if request.uri().path() == USERS_ME && claims.sub.contains('\0') => {
                    let sub = claims.sub.replace('\0', "");
                    honest.answer_as(request, &Claims { sub, ..claims }).await
                }
                _ => honest.answer(request).await,
            },
        ),
    ]
}

/// Reads the row every time, and answers what it was at first.
fn keeps_the_row_of_a_token() -> Mutant {
    let kept = Arc::new(Mutex::new(HashMap::<Option<HeaderValue>, Bytes>::new()));
    Mutant::new(
        "users-me-keeps-the-row-of-a-token",
        &["users-me/changed-row"],
        move |honest, request| {
            let kept = Arc::clone(&kept);
            async move {
                let token = request.headers().get(AUTHORIZATION).cloned();
                let asked = request.uri().path() == USERS_ME && request.method() == Method::GET;
                let answer = honest.answer(request).await;
                if !asked || !answer.status().is_success() {
                    return answer;
                }
                changed(answer, |answer| {
                    let mut kept = kept.lock().unwrap();
                    *answer.body_mut() = kept.entry(token).or_insert(answer.body().clone()).clone();
                })
                .await
            }
        },
    )
}

/// More than the shared Postgres can spare.
fn has_68_connections() -> Mutant {
    let trips = &["users-me/64-connections"];
    let mut mutant = Mutant::of_variable(
        "users-me-has-68-connections",
        trips,
        &[("DB_POOL_SIZE", "68")],
    );
    mutant.own_postgres = true;
    mutant
}

async fn honest(honest: Honest, request: Request<Body>) -> Response<Body> {
    honest.answer(request).await
}

/// Whatever user comes next on a connection gets the row of the first. Every connection has a
/// thread of its own.
fn keeps_the_first_row(answer: Vec<u8>) -> Vec<u8> {
    thread_local! {
        static FIRST: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
    }
    let text = String::from_utf8_lossy(&answer);
    match text.starts_with("HTTP/1.1 200 ")
        && text.contains("\r\n\r\n{\"id\":")
        && text.contains("\"city\":")
    {
        true => FIRST.with_borrow_mut(|first| first.get_or_insert(answer).clone()),
        false => answer,
    }
}

fn has_nul(request: &Request<Body>) -> bool {
    claims(request).is_some_and(|claims| claims.sub.contains('\0'))
}

/// What the request's token says, true or not.
pub(crate) fn claims(request: &Request<Body>) -> Option<Claims> {
    let token = request
        .headers()
        .get(AUTHORIZATION)?
        .to_str()
        .ok()?
        .split(' ')
        .nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}
