//! Mutants of authentication: each case of the checks at both endpoints that require a token.

mod cases;

use std::future::Future;

use axum::body::{Body, Bytes};
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Collected};
use schema::{ErrorCode, routes};

use crate::credentials::Credentials;
use crate::mutant::{Mutant, Target, error};

/// An endpoint that requires a token.
struct Endpoint {
    name: &'static str,
    method: Method,
    path: &'static str,
}

const ENDPOINTS: [Endpoint; 2] = [
    Endpoint {
        name: "movies",
        method: Method::POST,
        path: routes::MOVIES,
    },
    Endpoint {
        name: "users-me",
        method: Method::GET,
        path: routes::USERS_ME,
    },
];

type Refusal = fn() -> Response<Body>;

/// Refusals that are not the contract's.
const OTHER_REFUSALS: [(&str, Refusal); 3] = [
    ("by-403", || {
        let mut response = error(ErrorCode::InvalidToken);
        *response.status_mut() = StatusCode::FORBIDDEN;
        response
    }),
    ("without-a-challenge", || {
        let mut response = error(ErrorCode::InvalidToken);
        response.headers_mut().remove(WWW_AUTHENTICATE);
        response
    }),
    ("without-a-body", || {
        error::<Bytes>(ErrorCode::InvalidToken).map(|_| Body::empty())
    }),
];

pub(crate) fn mutants() -> Vec<Mutant> {
    let mut mutants = vec![body_before_token(), waits_for_the_body()];
    for endpoint in &ENDPOINTS {
        let name = endpoint.name;
        for (case, applies) in cases::WORK {
            let trips = format!("{name}/refuses-{case} {name}/401-{case}");
            mutants.push(endpoint.accepts(case, trips, *applies));
        }
        let refusals = OTHER_REFUSALS.into_iter().cycle();
        for ((case, applies), (how, refusal)) in cases::WORK.iter().zip(refusals) {
            let refusal = move |_, _| async move { refusal() };
            let trips = format!("{name}/401-{case}");
            mutants.push(endpoint.mutant(
                &format!("refuses-{case}-{how}"),
                trips,
                *applies,
                refusal,
            ));
        }
        for (case, applies) in cases::STRICT {
            mutants.push(endpoint.accepts(case, format!("{name}/401-{case}"), *applies));
        }
        for (case, applies) in cases::GOOD {
            let mut mutant = endpoint.refuses(case, case, *applies);
            mutant.trips += &match *case {
                "exp-future" => format!(" {name}/refuses-kept-expired"),
                "nbf-past" => format!(" {name}/accepts-kept-refused"),
                _ => String::new(),
            };
            mutants.push(mutant);
        }
        let trips = [
            "refuses-bad-signature",
            "401-bad-signature",
            "refuses-other-secret",
        ];
        let trips = trips
            .into_iter()
            .chain(["401-other-secret", "401-malformed"]);
        let trips: Vec<_> = trips.map(|check| format!("{name}/{check}")).collect();
        mutants.push(endpoint.accepts("any-signature", trips.join(" "), cases::has_any_signature));
        mutants.push(endpoint.refuses("no-iat", "iat", cases::has_no_iat));
    }
    mutants
}

impl Endpoint {
    /// Creates a mutant that responds to such a token as to k6's.
    fn accepts(&self, case: &str, trips: String, applies: fn(&Credentials) -> bool) -> Mutant {
        let name = format!("accepts-{case}");
        self.mutant(&name, trips, applies, async |target: Target, request| {
            target.respond_as_k6(request).await
        })
    }

    /// Creates a mutant that refuses such a token as the contract refuses a bad one.
    fn refuses(&self, name: &str, case: &str, applies: fn(&Credentials) -> bool) -> Mutant {
        let (name, trips) = (
            format!("refuses-{name}"),
            format!("{}/accepts-{case}", self.name),
        );
        self.mutant(&name, trips, applies, async |_, _| {
            error(ErrorCode::InvalidToken)
        })
    }

    fn mutant<F>(
        &self,
        name: &str,
        trips: String,
        applies: fn(&Credentials) -> bool,
        respond: impl Fn(Target, Request<Body>) -> F + Copy + Send + Sync + 'static,
    ) -> Mutant
    where
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let (method, path) = (self.method.clone(), self.path);
        let name = format!("{}-{name}", self.name);
        Mutant::new(name, trips, move |target, request| {
            let applies = request.method() == method
                && request.uri().path() == path
                && applies(&Credentials::of(&request));
            async move {
                match applies {
                    true => respond(target, request).await,
                    false => target.respond(request).await,
                }
            }
        })
    }
}

fn is_movie_without_token(request: &Request<Body>) -> bool {
    request.uri().path() == routes::MOVIES
        && request.method() == Method::POST
        && !Credentials::of(request).is_signed()
}

/// Judges the body before the token.
fn body_before_token() -> Mutant {
    Mutant::new(
        "body-before-token",
        "movies/401-before-body",
        async |target: Target, request| {
            if !is_movie_without_token(&request) {
                return target.respond(request).await;
            }
            match target.respond_as_k6(request).await {
                response if response.status().is_success() => error(ErrorCode::InvalidToken),
                response => response,
            }
        },
    )
}

/// Refuses as the contract says, but only after it has read the whole body.
fn waits_for_the_body() -> Mutant {
    Mutant::new(
        "waits-for-the-body",
        "movies/401-before-body",
        async |target: Target, request| {
            if !is_movie_without_token(&request) {
                return target.respond(request).await;
            }
            let (parts, body) = request.into_parts();
            // A client that closes its connection meanwhile gets no response.
            let body = body.collect().await.map(Collected::to_bytes);
            let body = body.unwrap_or_default();
            target
                .respond(Request::from_parts(parts, body.into()))
                .await
        },
    )
}
