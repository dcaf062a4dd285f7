//! Services that cheat: each leaves out some of the work, and each is caught.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use schema::routes::{CATALOG, INFO, MOVIES, PROXY, RESPONSE_ID, USERS_ME};
use schema::{Claims, ErrorCode};
use uuid::Uuid;

use crate::call::{Kind, on, with_response};
use crate::credentials::Credentials;
use crate::mutant::{Mutant, Target, changed, error, json, text, without_body};
use crate::post::parse_movie;
use crate::wire::repeat_first;

/// Requests to each endpoint that a cheater serves honestly.
const WARM_UP: usize = 100;

const SECOND: Duration = Duration::from_secs(1);

/// The checks that a constant response fails.
const EVERYTHING: &str = "info/200 movies/201 catalog/200 users-me/200 info/value info/fresh-ids \
    info/random-ids movies/echo movies/integer-rating movies/decodes movies/user movies/fresh-ids \
    movies/random-ids movies/at-once catalog/product catalog/no-old-product catalog/one-call \
    catalog/call catalog/decodes catalog/at-once users-me/row users-me/changed-row \
    users-me/one-query users-me/at-once */refuses-* http/any-client http/split-requests http/pipelined *";

/// The checks that a constant body fails.
const EVERY_BODY: &str = "movies/201 catalog/200 users-me/200 info/value info/field-order \
    movies/echo movies/integer-rating movies/decodes movies/user movies/fresh-ids \
    movies/random-ids movies/at-once movies/field-order movies/201-* movies/accepts-* \
    catalog/product catalog/no-old-product catalog/decodes catalog/at-once catalog/field-order \
    catalog/unknown-fields catalog/proxy users-me/row users-me/changed-row users-me/at-once \
    users-me/field-order users-me/accepts-* http/any-client http/split-requests http/pipelined";

/// The checks that an old response fails. Every request after the warm-up gets one, whatever its
/// token or body.
const KEPT: &str = "movies/echo catalog/no-old-product users-me/row info/*-ids movies/* catalog/* \
    users-me/* http/any-client http/split-requests http/pipelined";

/// The checks that empty responses after the warm-up fail.
const EMPTY: &str = "info/value movies/echo movies/fresh-ids movies/random-ids \
    catalog/no-old-product users-me/row info/* movies/* catalog/* users-me/* http/any-client http/split-requests http/pipelined";

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
        empty_objects(),
        with_response(
            "passes-the-upstreams-bytes-through",
            "catalog/decodes catalog/field-order catalog/unknown-fields",
            on(Kind::Product, |body| json(200, body.to_vec())),
        ),
        Mutant::honest(
            "announces-a-byte-less",
            "info/value info/field-order info/head http/any-client http/pipelined",
        )
        .on_the_wire(|response| announces(response, |length| length.saturating_sub(1))),
        Mutant::honest(
            "announces-a-byte-more",
            "info/* info/200 info/value info/fresh-ids info/random-ids http/any-client \
             http/pipelined http/431-long-head http/400-not-http",
        )
        .on_the_wire(|response| announces(response, |length| length + 1)),
        keeps(
            "keeps-the-product-for-a-second",
            "catalog/no-old-product catalog/one-call catalog/* http/*",
            (1, SECOND),
            |sent| measured_path(sent).filter(|path| path == CATALOG),
        ),
        Mutant::honest(
            "keeps-the-product-of-a-connection",
            "catalog/product catalog/no-old-product",
        )
        .on_the_wire(|response| repeat_first(response, "\"vendor\":")),
        keeps(
            "keeps-the-row-of-a-token-for-a-second",
            "users-me/changed-row users-me/one-query users-me/*",
            (1, SECOND),
            |sent| {
                measured_path(sent).filter(|path| path == USERS_ME)?;
                let tokens = sent.headers.get_all(AUTHORIZATION).into_iter();
                Some(format!("{:?}", tokens.collect::<Vec<_>>()))
            },
        ),
        keeps_movies(),
        keeps_tokens(
            "keeps-verified-tokens",
            "movies/refuses-kept-expired users-me/refuses-kept-expired",
            |sent| sent.values.concat(),
        ),
        keeps_tokens(
            "keeps-verified-tokens-by-their-signatures",
            "*/refuses-kept-expired */refuses-bad-signature */401-bad-signature */401-*",
            |sent| sent.parts.get(2).cloned().unwrap_or_default(),
        ),
        keeps_refusals(),
        keeps(
            "works-for-100-requests-and-keeps-the-last",
            KEPT,
            (WARM_UP, Duration::MAX),
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

/// Responds with empty objects of the right status.
fn empty_objects() -> Mutant {
    let selects = |sent: &Parts, status: StatusCode| {
        let path = sent.uri.path();
        status.is_success() && [INFO, MOVIES, CATALOG, PROXY, USERS_ME].contains(&path)
    };
    let name = "empty-objects-of-the-right-status";
    Mutant::change(name, EVERY_BODY, selects, text(|_| "{}".to_owned()))
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

/// Creates a mutant that keeps its response of each key after a number of honest ones, for a time.
fn keeps(
    name: &str,
    trips: &str,
    (honest, time): (usize, Duration),
    key: fn(&Parts) -> Option<String>,
) -> Mutant {
    type Kept = (usize, Instant, Response<Bytes>);
    let kept = Arc::new(Mutex::new(HashMap::<String, Kept>::new()));
    Mutant::new(name, trips, move |target, request| {
        let kept = Arc::clone(&kept);
        async move {
            let (parts, body) = request.into_parts();
            let key = key(&parts);
            let request = Request::from_parts(parts, body);
            let Some(key) = key else {
                return target.respond(request).await;
            };
            if let Some((count, since, response)) = kept.lock().unwrap().get(&key)
                && *count >= honest
                && since.elapsed() < time
            {
                return response.clone().map(Body::from);
            }
            let (parts, body) = target.respond(request).await.into_parts();
            let response = Response::from_parts(parts, body.collect().await.unwrap().to_bytes());
            if response.status().is_success() {
                let mut kept = kept.lock().unwrap();
                let count = kept.get(&key).map_or(0, |(count, ..)| *count);
                kept.insert(key, (count + 1, Instant::now(), response.clone()));
            }
            response.map(Body::from)
        }
    })
}

/// Keeps the movie of each head and body, and puts a fresh id in.
fn keeps_movies() -> Mutant {
    let kept = Arc::new(Mutex::new(HashMap::<_, Bytes>::new()));
    Mutant::new(
        "keeps-the-movie-of-a-request",
        "movies/refuses-kept-expired",
        move |target: Target, request| {
            let kept = Arc::clone(&kept);
            async move {
                let token = Credentials::of(&request).values.concat();
                let is_known = kept
                    .lock()
                    .unwrap()
                    .keys()
                    .any(|(known, _)| *known == token);
                // A body that never comes is announced with bad tokens only.
                if request.uri().path() != MOVIES
                    || !is_known && target.respond(without_body(&request)).await.status() == 401
                {
                    return target.respond(request).await;
                }
                let (parts, body) = request.into_parts();
                let body = body.collect().await.unwrap_or_default().to_bytes();
                let key = (token, (format!("{:?}", parts.headers), body.clone()));
                let movie = kept.lock().unwrap().get(&key).cloned();
                if let Some(movie) = movie {
                    let mut movie = parse_movie(&movie);
                    movie.id = Uuid::new_v4();
                    return json(201, serde_json::to_vec(&movie).unwrap());
                }
                let response = target
                    .respond(Request::from_parts(parts, body.into()))
                    .await;
                if !response.status().is_success() {
                    return response;
                }
                changed(response, |response| {
                    kept.lock().unwrap().insert(key, response.body().clone());
                })
                .await
            }
        },
    )
}

/// Creates a mutant that verifies one token of each key, and takes its claims for those of the others.
fn keeps_tokens(name: &str, trips: &str, key: fn(&Credentials) -> String) -> Mutant {
    let kept = Arc::new(Mutex::new(HashMap::<String, Claims>::new()));
    Mutant::new(name, trips, move |target: Target, request| {
        let kept = Arc::clone(&kept);
        async move {
            let (key, claims) = {
                let sent = Credentials::of(&request);
                (key(&sent), sent.any_claims())
            };
            let known = kept.lock().unwrap().get(&key).cloned();
            if let Some(known) = known {
                let (exp, nbf) = (None, None);
                return target
                    .respond_as(request, &Claims { exp, nbf, ..known })
                    .await;
            }
            let response = target.respond(request).await;
            if let Some(claims) = claims.filter(|_| response.status().is_success()) {
                kept.lock().unwrap().insert(key, claims);
            }
            response
        }
    })
}

/// Keeps the tokens that were refused.
fn keeps_refusals() -> Mutant {
    let kept = Arc::new(Mutex::new(HashSet::new()));
    Mutant::new(
        "keeps-refused-tokens",
        "movies/accepts-kept-refused users-me/accepts-kept-refused",
        move |target: Target, request| {
            let kept = Arc::clone(&kept);
            async move {
                let token = Credentials::of(&request).values.concat();
                if !token.is_empty() && kept.lock().unwrap().contains(&token) {
                    return error(ErrorCode::InvalidToken);
                }
                let response = target.respond(request).await;
                if response.status() == StatusCode::UNAUTHORIZED {
                    kept.lock().unwrap().insert(token);
                }
                response
            }
        },
    )
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
