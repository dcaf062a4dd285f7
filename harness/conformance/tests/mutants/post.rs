//! Mutants of `POST /movies` that read the body, once its token is known to be good.

use std::future::Future;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{Method, Request, Response};
use http_body_util::BodyExt;
use schema::ErrorCode::{self, BodyTooLarge};
use schema::Movie;
use schema::routes::MOVIES;

use crate::mutant::{Mutant, Target, changed, error, without_body};

/// A posted movie.
pub(crate) type Post = Request<Bytes>;

/// Creates a mutant that responds to posted movies with a good token. It waits for the body without
/// a deadline.
pub(crate) fn on_post<F>(
    name: &str,
    trips: &str,
    respond: impl Fn(Target, Post) -> F + Send + Sync + 'static,
) -> Mutant
where
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let respond = Arc::new(respond);
    Mutant::new(name, trips, move |target, request| {
        let respond = Arc::clone(&respond);
        async move {
            let is_post = request.uri().path() == MOVIES && request.method() == Method::POST;
            // Without its body the request is refused for its token, or for what it lacks.
            if !is_post || target.respond(without_body(&request)).await.status() == 401 {
                return target.respond(request).await;
            }
            let (parts, body) = request.into_parts();
            match body.collect().await {
                Ok(body) => respond(target, Request::from_parts(parts, body.to_bytes())).await,
                Err(_) => error(ErrorCode::MalformedBody),
            }
        }
    })
}

/// Creates a mutant that repeats refused requests with this change.
pub(crate) fn accepts(name: &str, trips: &str, change: fn(&mut Post)) -> Mutant {
    on_post(name, trips, move |target, mut post| async move {
        let response = target.respond(post.clone().map(Body::from)).await;
        if response.status().is_success() {
            return response;
        }
        change(&mut post);
        target.respond(post.map(Body::from)).await
    })
}

/// Creates a mutant that repeats refused requests with a change of their text, except those that are
/// too large.
pub(crate) fn accepts_text(name: &str, trips: &str, change: fn(&str) -> Option<String>) -> Mutant {
    on_post(name, trips, move |target, post| async move {
        let response = target.respond(post.clone().map(Body::from)).await;
        if response.status().is_success() || response.status() == BodyTooLarge.status() {
            return response;
        }
        match std::str::from_utf8(post.body()).ok().and_then(change) {
            Some(text) => target.respond(post.map(|_| Body::from(text))).await,
            None => response,
        }
    })
}

/// Creates a mutant that replaces responses by errors; `replace` takes the status of the response.
pub(crate) fn errors(
    name: &str,
    trips: &str,
    replace: fn(&Post, u16) -> Option<ErrorCode>,
) -> Mutant {
    on_post(name, trips, move |target, post| async move {
        let response = target.respond(post.clone().map(Body::from)).await;
        replace(&post, response.status().as_u16()).map_or(response, error)
    })
}

/// Creates a mutant that refuses some of the good requests.
pub(crate) fn refuses(
    name: &str,
    trips: &str,
    code: ErrorCode,
    refuses: fn(&Post) -> bool,
) -> Mutant {
    on_post(name, trips, move |target, post| async move {
        let response = target.respond(post.clone().map(Body::from)).await;
        match response.status().is_success() && refuses(&post) {
            true => error(code),
            false => response,
        }
    })
}

/// Creates a mutant that changes the movies of successful responses.
pub(crate) fn changes_movie(
    name: &str,
    trips: &str,
    change: impl Fn(&Post, &mut Movie<'_>) + Send + Sync + 'static,
) -> Mutant {
    let change = Arc::new(change);
    on_post(name, trips, move |target, post| {
        let change = Arc::clone(&change);
        async move {
            let response = target.respond(post.clone().map(Body::from)).await;
            if !response.status().is_success() {
                return response;
            }
            changed(response, |response| {
                let body = response.body().clone();
                let mut movie = parse_movie(&body);
                change(&post, &mut movie);
                *response.body_mut() = serde_json::to_vec(&movie).unwrap().into();
            })
            .await
        }
    })
}

/// Parses the movie of a response.
pub(crate) fn parse_movie(body: &[u8]) -> Movie<'_> {
    serde_json::from_slice(body).unwrap()
}
