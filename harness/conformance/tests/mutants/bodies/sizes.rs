//! Mutants that take a body of another type, of any size, or that never comes.

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};

use super::post::{Post, forgives, of_post};
use crate::server::Mutant;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

pub(super) fn mutants() -> Vec<Mutant> {
    vec![
        forgives("any-content-type-is-taken", &["movies/415"], |post| {
            if types(post).len() == 1 {
                post.headers_mut().insert(CONTENT_TYPE, JSON);
            }
        }),
        forgives(
            "whatever-begins-with-json-is-json",
            &["movies/415"],
            |post| {
                if let [one] = types(post).as_slice()
                    && one.as_bytes().starts_with(JSON.as_bytes())
                {
                    post.headers_mut().insert(CONTENT_TYPE, JSON);
                }
            },
        ),
        forgives("no-content-type-is-json", &["movies/415-missing"], |post| {
            post.headers_mut().entry(CONTENT_TYPE).or_insert(JSON);
        }),
        forgives(
            "the-first-content-type-counts",
            &["movies/415-twice"],
            |post| {
                if let [first, _] = types(post).as_slice() {
                    let first = first.clone();
                    post.headers_mut().insert(CONTENT_TYPE, first);
                }
            },
        ),
        forgives("an-announced-body-may-be-larger", &["movies/413"], |post| {
            if post.headers().contains_key(CONTENT_LENGTH) {
                without_spaces(post);
            }
        }),
        forgives(
            "only-an-announced-length-is-limited",
            &["movies/413-chunked"],
            |post| {
                if !post.headers().contains_key(CONTENT_LENGTH) {
                    without_spaces(post);
                }
            },
        ),
        of_post(
            "a-body-that-never-comes-is-waited-for",
            &["movies/408"],
            async |honest, post: Post| honest.answer(post.map(Body::from)).await,
        )
        .with_faults(),
    ]
}

fn types(post: &Post) -> Vec<HeaderValue> {
    post.headers()
        .get_all(CONTENT_TYPE)
        .iter()
        .cloned()
        .collect()
}

/// What makes a body of the checks large.
fn without_spaces(post: &mut Post) {
    *post.body_mut() = post.body().trim_ascii_start().to_vec().into();
}
