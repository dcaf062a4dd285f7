//! Services that cheat: each leaves out some of the work, and each is caught.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use schema::routes::{CATALOG, INFO, MOVIES, PROXY, RESPONSE_ID, USERS_ME};

use crate::call::{Kind, on, with_response};
use crate::credentials::Credentials;
use crate::mutant::{Mutant, Target, json};

/// Requests to each endpoint that a cheater serves honestly.
const WARM_UP: usize = 100;

/// The checks that a constant response fails.
const EVERYTHING: &str = "info/200 movies/201 catalog/200 users-me/200 info/value info/fresh-ids \
    info/random-ids movies/echo movies/integer-rating movies/decodes movies/user movies/fresh-ids \
    movies/random-ids movies/at-once catalog/product catalog/no-old-product catalog/one-call \
    catalog/call catalog/decodes catalog/at-once users-me/row users-me/changed-row \
    users-me/one-query users-me/at-once */refuses-* http/any-client *";

/// The checks that a constant body fails.
const EVERY_BODY: &str = "movies/201 catalog/200 users-me/200 info/value info/field-order \
    movies/echo movies/integer-rating movies/decodes movies/user movies/fresh-ids \
    movies/random-ids movies/at-once movies/field-order movies/201-* movies/accepts-* \
    catalog/product catalog/no-old-product catalog/decodes catalog/at-once catalog/field-order \
    catalog/unknown-fields catalog/proxy users-me/row users-me/changed-row users-me/at-once \
    users-me/field-order users-me/accepts-* http/any-client";

/// The checks that an old response fails. Every request after the warm-up gets one, whatever its
/// token or body.
const KEPT: &str = "movies/echo catalog/no-old-product users-me/row info/*-ids movies/* catalog/* \
    users-me/* http/any-client";

/// The checks that empty responses after the warm-up fail.
const EMPTY: &str = "info/value movies/echo movies/fresh-ids movies/random-ids \
    catalog/no-old-product users-me/row info/* movies/* catalog/* users-me/* http/any-client";

/// The checks of both endpoints that an unverified token fails; of the malformed tokens, one has a
/// header that is not JSON.
const UNVERIFIED: [&str; 11] = [
    "refuses-bad-signature",
    "refuses-other-secret",
    "refuses-alg-none",
    "401-bad-signature",
    "401-other-secret",
    "401-alg-none",
    "401-hs384",
    "401-hs512",
    "401-asymmetric",
    "401-no-alg",
    "401-malformed",
];

/// The checks of both endpoints that a token fails whose `alg` is ignored.
const ANY_ALG: [&str; 5] = [
    "refuses-alg-none",
    "401-alg-none",
    "401-asymmetric",
    "401-no-alg",
    "401-malformed",
];

pub(crate) fn mutants() -> Vec<Mutant> {
    let counts = Mutex::new(HashMap::<String, usize>::new());
    vec![
        Mutant::instead("empty-object-for-everything", EVERYTHING, |_| {
            Some(json(200, "{}"))
        }),
        constant_body("empty-objects-of-the-right-status", "{}"),
        constant_body(
            "errors-of-the-right-status",
            r#"{"error":"internal error"}"#,
        ),
        with_response(
            "passes-the-upstreams-bytes-through",
            "catalog/decodes catalog/field-order catalog/unknown-fields",
            on(Kind::Product, |body| json(200, body.to_vec())),
        ),
        Mutant::honest(
            "announces-a-byte-less",
            "info/value info/field-order info/head http/any-client",
        )
        .on_the_wire(|response| announces(response, |length| length.saturating_sub(1))),
        Mutant::honest(
            "announces-a-byte-more",
            "info/* info/200 info/value info/fresh-ids info/random-ids http/any-client \
             http/431-long-head http/400-not-http",
        )
        .on_the_wire(|response| announces(response, |length| length + 1)),
        keeps(
            "keeps-the-product",
            "catalog/product catalog/no-old-product catalog/one-call catalog/call catalog/decodes \
             catalog/at-once catalog/unknown-fields http/any-client",
            1,
            |sent| measured_path(sent).filter(|path| path == CATALOG),
        ),
        keeps(
            "keeps-the-profile-of-a-token",
            "users-me/changed-row users-me/one-query",
            1,
            |sent| {
                measured_path(sent).filter(|path| path == USERS_ME)?;
                let tokens = sent.headers.get_all(AUTHORIZATION).into_iter();
                Some(format!("{:?}", tokens.collect::<Vec<_>>()))
            },
        ),
        keeps(
            "works-for-100-requests-and-keeps-the-last",
            KEPT,
            WARM_UP,
            measured_path,
        ),
        Mutant::change(
            "works-for-100-requests",
            EMPTY,
            |sent, status| status.is_success() && measured_path(sent).is_some(),
            move |sent, response| {
                let mut counts = counts.lock().unwrap();
                let count = counts.entry(sent.uri.path().to_owned()).or_default();
                *count += 1;
                if *count > WARM_UP {
                    *response.body_mut() = "{}".into();
                }
            },
        ),
        Mutant::honest("one-response-id-for-a-connection", "info/fresh-ids")
            .on_the_wire(keeps_the_first_id)
            .with_burst(2),
        trusts_tokens("tokens-are-decoded-and-not-verified", &UNVERIFIED, |_| true),
        trusts_tokens("alg-is-ignored", &ANY_ALG, Credentials::is_signed),
    ]
}

/// Creates a mutant whose successful responses have one body.
fn constant_body(name: &str, body: &'static str) -> Mutant {
    let selects = |sent: &Parts, status: StatusCode| {
        let path = sent.uri.path();
        status.is_success() && [INFO, MOVIES, CATALOG, PROXY, USERS_ME].contains(&path)
    };
    Mutant::change(name, EVERY_BODY, selects, move |_, response| {
        *response.body_mut() = body.into();
    })
}

/// Creates a mutant that takes the claims of a token for verified where `trusts` says so.
fn trusts_tokens(name: &str, checks: &[&str], trusts: fn(&Credentials) -> bool) -> Mutant {
    let endpoints = ["movies", "users-me"].into_iter();
    let trips =
        endpoints.flat_map(|name| checks.iter().map(move |check| format!("{name}/{check}")));
    let trips: Vec<_> = trips.collect();
    Mutant::new(
        name,
        trips.join(" "),
        move |target: Target, request| async move {
            let claims = {
                let sent = Credentials::of(&request);
                let claims = sent.any_claims();
                claims.filter(|_| sent.is_one_bearer() && trusts(&sent))
            };
            match claims {
                Some(claims) => target.respond_as(request, &claims).await,
                None => target.respond(request).await,
            }
        },
    )
}

/// Creates a mutant that serves `honest` requests of a key, and repeats the last response afterwards.
fn keeps(name: &str, trips: &str, honest: usize, key: fn(&Parts) -> Option<String>) -> Mutant {
    let kept = Arc::new(Mutex::new(
        HashMap::<String, (usize, Response<Bytes>)>::new(),
    ));
    Mutant::new(name, trips, move |target, request| {
        let kept = Arc::clone(&kept);
        async move {
            let (parts, body) = request.into_parts();
            let key = key(&parts);
            let request = Request::from_parts(parts, body);
            let Some(key) = key else {
                return target.respond(request).await;
            };
            if let Some((count, response)) = kept.lock().unwrap().get(&key)
                && *count >= honest
            {
                return response.clone().map(Body::from);
            }
            let (parts, body) = target.respond(request).await.into_parts();
            let response = Response::from_parts(parts, body.collect().await.unwrap().to_bytes());
            if response.status().is_success() {
                let mut kept = kept.lock().unwrap();
                let count = kept.get(&key).map_or(0, |(count, _)| *count);
                kept.insert(key, (count + 1, response.clone()));
            }
            response.map(Body::from)
        }
    })
}

/// Returns the path of a request that is one of the four measured ones.
fn measured_path(sent: &Parts) -> Option<String> {
    let path = sent.uri.path();
    let is_get = sent.method == Method::GET && [INFO, CATALOG, USERS_ME].contains(&path);
    let is_post = sent.method == Method::POST && path == MOVIES;
    (is_get || is_post).then(|| path.to_owned())
}

/// Repeats the first id of a connection. Every connection has a thread of its own.
fn keeps_the_first_id(response: Vec<u8>) -> Vec<u8> {
    thread_local! {
        static FIRST: RefCell<Option<String>> = const { RefCell::new(None) };
    }
    let text = String::from_utf8_lossy(&response);
    let Some((_, rest)) = text.split_once(&format!("{RESPONSE_ID}: ")) else {
        return response;
    };
    let id = rest.lines().next().unwrap().to_owned();
    let first = FIRST.with_borrow_mut(|first| first.get_or_insert(id.clone()).clone());
    text.replacen(&id, &first, 1).into_bytes()
}

/// Announces another content length for `GET /info` than that of its body.
fn announces(response: Vec<u8>, change: fn(usize) -> usize) -> Vec<u8> {
    let text = String::from_utf8_lossy(&response);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return response;
    };
    if !head.contains(RESPONSE_ID) || body.is_empty() {
        return response;
    }
    let [actual, announced] = [body.len(), change(body.len())];
    let header = |length: usize| format!("content-length: {length}");
    text.replacen(&header(actual), &header(announced), 1)
        .into_bytes()
}
