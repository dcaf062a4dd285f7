//! Cheaters that save the work of verifying a token.

use axum::body::Body;
use axum::http::Request;
use axum::http::header::AUTHORIZATION;
use schema::env;
use testbed::token::Algorithm;

use crate::server::{Honest, Mutant};
use crate::users::claims;

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "tokens-are-read-and-not-verified",
            UNVERIFIED,
            async |honest: Honest, request: Request<Body>| match claims(&request)
                .filter(|_| token(&request).is_some())
            {
                Some(claims) => honest.answer_as(request, &claims).await,
                None => honest.answer(request).await,
            },
        ),
        Mutant::new(
            "alg-is-not-looked-at",
            ANY_ALG,
            async |honest: Honest, request: Request<Body>| match claims(&request)
                .filter(|_| token(&request).is_some_and(is_signed))
            {
                Some(claims) => honest.answer_as(request, &claims).await,
                None => honest.answer(request).await,
            },
        ),
    ]
}

const UNVERIFIED: &[&str] = &[
    "movies/refuses-bad-signature",
    "movies/refuses-other-secret",
    "movies/refuses-alg-none",
    "movies/401-bad-signature",
    "movies/401-other-secret",
    "movies/401-alg-none",
    "movies/401-hs384",
    "movies/401-hs512",
    "movies/401-asymmetric",
    "movies/401-no-alg",
    "users-me/refuses-bad-signature",
    "users-me/refuses-other-secret",
    "users-me/refuses-alg-none",
    "users-me/401-bad-signature",
    "users-me/401-other-secret",
    "users-me/401-alg-none",
    "users-me/401-hs384",
    "users-me/401-hs512",
    "users-me/401-asymmetric",
    "users-me/401-no-alg",
    // One of them has a header that is no JSON.
    "movies/401-malformed",
    "users-me/401-malformed",
];

const ANY_ALG: &[&str] = &[
    "movies/refuses-alg-none",
    "movies/401-alg-none",
    "movies/401-asymmetric",
    "movies/401-no-alg",
    "users-me/refuses-alg-none",
    "users-me/401-alg-none",
    "users-me/401-asymmetric",
    "users-me/401-no-alg",
    // One of them has a header that is no JSON.
    "movies/401-malformed",
    "users-me/401-malformed",
];

/// The token, if there is one in the form of one.
fn token(request: &Request<Body>) -> Option<&str> {
    let mut values = request.headers().get_all(AUTHORIZATION).into_iter();
    let (value, None) = (values.next()?.to_str().ok()?, values.next()) else {
        return None;
    };
    let (scheme, token) = value.split_once(' ')?;
    let is_token = scheme.eq_ignore_ascii_case("bearer") && token.split('.').count() == 3;
    is_token.then_some(token)
}

/// Whether a token is signed by HS256, whatever its header says.
fn is_signed(token: &str) -> bool {
    let secret = env::bench_value(&env::JWT_SECRET);
    token.rsplit_once('.').is_some_and(|(signed, signature)| {
        signature == testbed::token::signature(signed, Algorithm::HS256, secret)
    })
}
