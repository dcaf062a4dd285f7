//! Mutants of `POST /movies` that look at the body, once its token is known to be good.

use std::future::Future;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{Method, Request, Response};
use http_body_util::BodyExt;
use schema::ErrorCode::{self, BodyTooLarge};
use schema::Movie;
use schema::routes::MOVIES;

use crate::server::{Honest, Mutant, changed, error};

/// A movie that somebody posts.
pub(crate) type Post = Request<Bytes>;

/// Answers what is posted with a good token itself. It waits for the body without a deadline.
pub(crate) fn of_post<F>(
    name: &'static str,
    trips: &'static [&'static str],
    switch: impl Fn(Honest, Post) -> F + Send + Sync + 'static,
) -> Mutant
where
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let switch = Arc::new(switch);
    Mutant::new(
        name,
        trips,
        move |honest: Honest, request: Request<Body>| {
            let switch = Arc::clone(&switch);
            async move {
                let is_post = request.uri().path() == MOVIES && request.method() == Method::POST;
                if !is_post || honest.answer(bare(&request)).await.status() == 401 {
                    return honest.answer(request).await;
                }
                let (parts, body) = request.into_parts();
                match body.collect().await {
                    Ok(body) => switch(honest, Request::from_parts(parts, body.to_bytes())).await,
                    Err(_) => error(ErrorCode::MalformedBody),
                }
            }
        },
    )
}

/// Asks again what was refused, after this change.
pub(crate) fn forgives(
    name: &'static str,
    trips: &'static [&'static str],
    change: fn(&mut Post),
) -> Mutant {
    of_post(name, trips, move |honest, mut post| async move {
        let answer = honest.answer(post.clone().map(Body::from)).await;
        if answer.status().is_success() {
            return answer;
        }
        change(&mut post);
        honest.answer(post.map(Body::from)).await
    })
}

/// As [`forgives`], with a change of the body's text, unless it is too large.
pub(crate) fn forgives_text(
    name: &'static str,
    trips: &'static [&'static str],
    change: fn(&str) -> Option<String>,
) -> Mutant {
    of_post(name, trips, move |honest, post| async move {
        let answer = honest.answer(post.clone().map(Body::from)).await;
        if answer.status().is_success() || answer.status() == BodyTooLarge.status() {
            return answer;
        }
        match std::str::from_utf8(post.body()).ok().and_then(change) {
            Some(text) => honest.answer(post.map(|_| Body::from(text))).await,
            None => answer,
        }
    })
}

/// Refuses some of what is taken.
pub(crate) fn refuses(
    name: &'static str,
    trips: &'static [&'static str],
    code: ErrorCode,
    whether: fn(&Post) -> bool,
) -> Mutant {
    of_post(name, trips, move |honest, post| async move {
        let answer = honest.answer(post.clone().map(Body::from)).await;
        match answer.status().is_success() && whether(&post) {
            true => error(code),
            false => answer,
        }
    })
}

/// Words some refusals otherwise.
pub(crate) fn says(
    name: &'static str,
    trips: &'static [&'static str],
    instead: fn(&Post, u16) -> Option<ErrorCode>,
) -> Mutant {
    of_post(name, trips, move |honest, post| async move {
        let answer = honest.answer(post.clone().map(Body::from)).await;
        instead(&post, answer.status().as_u16()).map_or(answer, error)
    })
}

/// Changes the movie that comes back.
pub(crate) fn of_movie(
    name: &'static str,
    trips: &'static [&'static str],
    change: impl Fn(&Post, &mut Movie<'_>) + Send + Sync + 'static,
) -> Mutant {
    let change = Arc::new(change);
    of_post(name, trips, move |honest, post| {
        let change = Arc::clone(&change);
        async move {
            let answer = honest.answer(post.clone().map(Body::from)).await;
            if !answer.status().is_success() {
                return answer;
            }
            changed(answer, |answer| {
                let body = answer.body().clone();
                let mut movie = movie(&body);
                change(&post, &mut movie);
                *answer.body_mut() = serde_json::to_vec(&movie).unwrap().into();
            })
            .await
        }
    })
}

/// The movie of an answer.
pub(crate) fn movie(body: &[u8]) -> Movie<'_> {
    serde_json::from_slice(body).unwrap()
}

/// The request without its body: it is refused by its token, or by what it lacks.
fn bare(request: &Request<Body>) -> Request<Body> {
    let mut bare = Request::new(Body::empty());
    *bare.method_mut() = request.method().clone();
    *bare.uri_mut() = request.uri().clone();
    *bare.headers_mut() = request.headers().clone();
    bare
}
