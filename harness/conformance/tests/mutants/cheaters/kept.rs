//! Cheaters that keep an answer and give it again.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::http::header::AUTHORIZATION;
use axum::http::{Method, Request, Response};
use http_body_util::BodyExt;
use schema::routes::{CATALOG, INFO, MOVIES, RESPONSE_ID, USERS_ME};

use crate::server::{Honest, Mutant, changed};

/// Requests to each endpoint that a cheater answers honestly.
const WARM_UP: usize = 100;

/// What shows that an answer is an old one. Whoever comes after the warm-up gets one, with whatever
/// token or body.
const KEPT: &[&str] = &[
    "movies/echo",
    "catalog/no-old-product",
    "users-me/row",
    "info/*-ids",
    "movies/*",
    "catalog/*",
    "users-me/*",
    "http/any-client",
];

/// What shows that the later answers are empty.
const EMPTY: &[&str] = &[
    "info/value",
    "movies/echo",
    "movies/fresh-ids",
    "movies/random-ids",
    "catalog/no-old-product",
    "users-me/row",
    "info/*",
    "movies/*",
    "catalog/*",
    "users-me/*",
    "http/any-client",
];

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        keeps(
            "keeps-the-product",
            &[
                "catalog/product",
                "catalog/no-old-product",
                "catalog/one-call",
                "catalog/call",
                "catalog/decodes",
                "catalog/at-once",
                "catalog/unknown-fields",
                "http/any-client",
            ],
            1,
            |request| is_measured(request).filter(|path| path == CATALOG),
        ),
        keeps(
            "keeps-the-profile-of-a-token",
            &["users-me/changed-row", "users-me/one-query"],
            1,
            |request| {
                is_measured(request).filter(|path| path == USERS_ME)?;
                let tokens: Vec<_> = request
                    .headers()
                    .get_all(AUTHORIZATION)
                    .into_iter()
                    .collect();
                Some(format!("{tokens:?}"))
            },
        ),
        keeps(
            "works-for-100-requests-and-keeps-the-last",
            KEPT,
            WARM_UP,
            is_measured,
        ),
        works_for_100_requests(),
        Mutant::new(
            "one-response-id-for-a-connection",
            &["info/fresh-ids"],
            async |honest: Honest, request: Request<Body>| honest.answer(request).await,
        )
        .on_the_wire(keeps_the_first_id)
        .with_burst(2),
    ]
}

/// Keeps the answer of success number `honestly` to what has the same key, and gives it from then on.
fn keeps(
    name: &'static str,
    trips: &'static [&'static str],
    honestly: usize,
    key: fn(&Request<Body>) -> Option<String>,
) -> Mutant {
    let kept = Arc::new(Mutex::new(
        HashMap::<String, (usize, Response<Bytes>)>::new(),
    ));
    Mutant::new(name, trips, move |honest, request| {
        let kept = Arc::clone(&kept);
        async move {
            let Some(key) = key(&request) else {
                return honest.answer(request).await;
            };
            if let Some((count, answer)) = kept.lock().unwrap().get(&key)
                && *count >= honestly
            {
                return answer.clone().map(Body::from);
            }
            let (parts, body) = honest.answer(request).await.into_parts();
            let answer = Response::from_parts(parts, body.collect().await.unwrap().to_bytes());
            if answer.status().is_success() {
                let mut kept = kept.lock().unwrap();
                let count = kept.get(&key).map_or(0, |(count, _)| *count);
                kept.insert(key, (count + 1, answer.clone()));
            }
            answer.map(Body::from)
        }
    })
}

/// The path of a request to one of the four that are measured.
fn is_measured(request: &Request<Body>) -> Option<String> {
    let (method, path) = (request.method(), request.uri().path());
    let is_get = method == Method::GET && [INFO, CATALOG, USERS_ME].contains(&path);
    let is_post = method == Method::POST && path == MOVIES;
    (is_get || is_post).then(|| path.to_owned())
}

/// Empty objects under the right status and headers, once nobody looks any more.
fn works_for_100_requests() -> Mutant {
    let counts = Arc::new(Mutex::new(HashMap::<String, usize>::new()));
    Mutant::new("works-for-100-requests", EMPTY, move |honest, request| {
        let counts = Arc::clone(&counts);
        async move {
            let key = is_measured(&request);
            let answer = honest.answer(request).await;
            let Some(key) = key.filter(|_| answer.status().is_success()) else {
                return answer;
            };
            let count = {
                let mut counts = counts.lock().unwrap();
                let count = counts.entry(key).or_default();
                *count += 1;
                *count
            };
            match count > WARM_UP {
                true => changed(answer, |answer| *answer.body_mut() = "{}".into()).await,
                false => answer,
            }
        }
    })
}

/// Every answer on a connection has the id of the first. Every connection has a thread of its own.
fn keeps_the_first_id(answer: Vec<u8>) -> Vec<u8> {
    thread_local! {
        static FIRST: RefCell<Option<String>> = const { RefCell::new(None) };
    }
    let text = String::from_utf8_lossy(&answer);
    let Some((_, rest)) = text.split_once(&format!("{RESPONSE_ID}: ")) else {
        return answer;
    };
    let id = rest.lines().next().unwrap().to_owned();
    let first = FIRST.with_borrow_mut(|first| first.get_or_insert(id.clone()).clone());
    text.replacen(&id, &first, 1).into_bytes()
}
