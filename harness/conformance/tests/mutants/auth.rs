//! Mutants of auth: each case of the checks at both endpoints that want a token.

mod bad;
mod good;
mod sent;

use std::future::Future;

use axum::body::Body;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Collected};
use schema::{ErrorCode, routes};

use self::sent::Sent;
use crate::server::{Honest, Mutant, error};

/// An endpoint that wants a token.
struct Endpoint {
    name: &'static str,
    method: Method,
    path: &'static str,
}

const BEFORE_BODY: &str = "movies/401-before-body";

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
        let mut answer = error(ErrorCode::InvalidToken);
        *answer.status_mut() = StatusCode::FORBIDDEN;
        answer
    }),
    ("without-a-challenge", || {
        let mut answer = error(ErrorCode::InvalidToken);
        answer.headers_mut().remove(WWW_AUTHENTICATE);
        answer
    }),
    ("without-a-body", || {
        error(ErrorCode::InvalidToken).map(|_| Body::empty())
    }),
];

pub(crate) fn mutants() -> Vec<Mutant> {
    let mut mutants = vec![body_before_token(), waits_for_the_body()];
    for endpoint in &ENDPOINTS {
        for (case, fits) in bad::WORK {
            mutants.push(endpoint.lets_in(case, endpoint.let_in(case), *fits));
        }
        for ((case, fits), refusal) in bad::WORK.iter().zip(OTHER_REFUSALS.into_iter().cycle()) {
            mutants.push(endpoint.refuses(case, refusal, *fits));
        }
        for (case, fits) in bad::STRICT {
            mutants.push(endpoint.lets_in(case, vec![endpoint.slug("401", case)], *fits));
        }
        for (case, fits) in good::CASES {
            mutants.push(endpoint.turns_away(case, case, *fits));
        }
        let trips = ["bad-signature", "other-secret"].map(|case| endpoint.let_in(case));
        let mut trips = trips.concat();
        trips.push(endpoint.slug("401", "malformed"));
        mutants.push(endpoint.lets_in("any-signature", trips, bad::is_of_any_signature));
        mutants.push(endpoint.turns_away("no-iat", "iat", good::has_no_iat));
    }
    mutants
}

impl Endpoint {
    fn slug(&self, what: &str, case: &str) -> String {
        format!("{}/{what}-{case}", self.name)
    }

    /// The checks of a case of level `work` that fail where it is let in.
    fn let_in(&self, case: &str) -> Vec<String> {
        ["refuses", "401"].map(|what| self.slug(what, case)).into()
    }

    /// Takes who sends such a token for k6.
    fn lets_in(&self, what: &str, trips: Vec<String>, fits: fn(&Sent) -> bool) -> Mutant {
        let as_k6 = async |honest: Honest, request| honest.answer_as_k6(request).await;
        self.mutant(&format!("lets-in-{what}"), trips, fits, as_k6)
    }

    /// Refuses such a token in its own way.
    fn refuses(
        &self,
        case: &str,
        (how, refusal): (&str, Refusal),
        fits: fn(&Sent) -> bool,
    ) -> Mutant {
        let trips = vec![self.slug("401", case)];
        self.mutant(
            &format!("refuses-{case}-{how}"),
            trips,
            fits,
            move |_, _| async move { refusal() },
        )
    }

    /// Refuses such a token as it would a bad one.
    fn turns_away(&self, what: &str, case: &str, fits: fn(&Sent) -> bool) -> Mutant {
        let trips = vec![self.slug("accepts", case)];
        let refused = async |_, _| error(ErrorCode::InvalidToken);
        self.mutant(&format!("turns-away-{what}"), trips, fits, refused)
    }

    /// Answers whatever fits in another way.
    fn mutant<F>(
        &self,
        name: &str,
        trips: Vec<String>,
        fits: fn(&Sent) -> bool,
        answer: impl Fn(Honest, Request<Body>) -> F + Copy + Send + Sync + 'static,
    ) -> Mutant
    where
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        // A mutant's names live as long as the tests.
        let name = format!("{}-{name}", self.name).leak();
        let trips: Vec<&'static str> = trips.into_iter().map(|slug| &*slug.leak()).collect();
        let (method, path) = (self.method.clone(), self.path);
        Mutant::new(name, trips.leak(), move |honest, request| {
            let is_asked = request.method() == method && request.uri().path() == path;
            let is_other = is_asked && fits(&Sent::with(&request));
            async move {
                match is_other {
                    true => answer(honest, request).await,
                    false => honest.answer(request).await,
                }
            }
        })
    }
}

/// Whether this is a movie of nobody known.
fn is_movie_without_token(request: &Request<Body>) -> bool {
    request.uri().path() == routes::MOVIES
        && request.method() == Method::POST
        && !Sent::with(request).is_signed()
}

/// Looks at the token after all that can be wrong with the body.
fn body_before_token() -> Mutant {
    Mutant::new(
        "body-before-token",
        &[BEFORE_BODY],
        async |honest: Honest, request| {
            if !is_movie_without_token(&request) {
                return honest.answer(request).await;
            }
            match honest.answer_as_k6(request).await {
                answer if answer.status().is_success() => error(ErrorCode::InvalidToken),
                answer => answer,
            }
        },
    )
}

/// Refuses as the contract says, but not until the whole body is there.
fn waits_for_the_body() -> Mutant {
    Mutant::new(
        "waits-for-the-body",
        &[BEFORE_BODY],
        async |honest: Honest, request| {
            if !is_movie_without_token(&request) {
                return honest.answer(request).await;
            }
            let (parts, body) = request.into_parts();
            // A client that does not wait any longer is not answered.
            let body = body
                .collect()
                .await
                .map(Collected::to_bytes)
                .unwrap_or_default();
            honest.answer(Request::from_parts(parts, body.into())).await
        },
    )
}
