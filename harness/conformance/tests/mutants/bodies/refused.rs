//! Mutants that refuse a good body, or lose some of it.

use std::collections::BTreeMap;

use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use schema::ErrorCode::{BodyTooLarge, InvalidBody, MalformedBody, UnsupportedMediaType};
use schema::limits::REQUEST_BODY_MAX_BYTES;
use schema::{NewMovie, fixtures};
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::mutant::Mutant;
use crate::post::{Post, changes_movie, refuses};

pub(super) fn mutants() -> Vec<Mutant> {
    vec![
        refuses(
            "unknown-fields-are-refused",
            "movies/201-unknown-fields movies/201-depth-128",
            InvalidBody,
            |post| {
                let fields: BTreeMap<String, IgnoredAny> =
                    serde_json::from_slice(post.body()).unwrap();
                let known = serde_json::to_value(fixtures::new_movie()).unwrap();
                fields.keys().any(|field| known.get(field).is_none())
            },
        ),
        changes_movie(
            "user-id-may-be-sent",
            "movies/201-unknown-fields",
            |post, movie| {
                let sent: Value = serde_json::from_slice(post.body()).unwrap_or_default();
                if let Some(id) = sent.pointer("/user/id").and_then(Value::as_str) {
                    movie.user.id = id.to_owned().into();
                }
            },
        ),
        refuses(
            "years-begin-with-1",
            "movies/201-year-bounds",
            InvalidBody,
            |post| sent(post).year < 1,
        ),
        changes_movie(
            "large-years-are-rounded",
            "movies/201-year-bounds",
            |_, movie| {
                if movie.new.year > 1 << 24 {
                    movie.new.year = movie.new.year >> 7 << 7;
                }
            },
        ),
        changes_movie(
            "ratings-have-two-decimals",
            "movies/201-numbers",
            |_, movie| {
                let rounded = (movie.new.rating * 100.0).round() / 100.0;
                if rounded.is_finite() {
                    movie.new.rating = rounded;
                }
            },
        ),
        refuses(
            "titles-are-not-empty",
            "movies/201-texts",
            InvalidBody,
            |post| sent(post).title.is_empty(),
        ),
        changes_movie("titles-are-cut-at-255", "movies/201-texts", |_, movie| {
            movie.new.title = movie.new.title.chars().take(255).collect();
        }),
        refuses(
            "limit-is-one-byte-short",
            "movies/201-64-KiB",
            BodyTooLarge,
            |post| post.body().len() >= REQUEST_BODY_MAX_BYTES,
        ),
        refuses(
            "depth-is-limited-to-64",
            "movies/201-depth-128",
            MalformedBody,
            |post| {
                let mut windows = post.body().windows(64);
                windows.any(|bytes| bytes == [b'['; 64])
            },
        ),
        refuses(
            "chunks-are-refused",
            "movies/201-chunked",
            MalformedBody,
            |post| !post.headers().contains_key(CONTENT_LENGTH),
        ),
        refuses(
            "content-type-has-one-spelling",
            "movies/201-content-types",
            UnsupportedMediaType,
            |post| post.headers()[CONTENT_TYPE] != "application/json",
        ),
    ]
}

fn sent(post: &Post) -> NewMovie<'_> {
    serde_json::from_slice(post.body()).unwrap()
}
