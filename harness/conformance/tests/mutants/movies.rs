//! Mutants of `POST /movies`, except those of its body.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, USER_AGENT};
use schema::ErrorCode::InvalidBody;
use schema::routes::MOVIES;
use schema::{NewMovie, fixtures};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::mutant::{Mutant, changed, set_header, set_status, success, text};
use crate::post::{Post, changes_movie, on_post, parse_movie, refuses};

/// Ids that a mutant stores at the same time.
const SLOTS: usize = 20;

/// Time between storing and reading an id.
const LOOK_UP: Duration = Duration::from_millis(10);

pub(crate) fn mutants() -> Vec<Mutant> {
    let mut mutants = stateless();
    mutants.extend(stateful());
    mutants
}

fn stateless() -> Vec<Mutant> {
    vec![
        Mutant::change(
            "movies-is-200",
            "movies/201 movies/201-* movies/accepts-* movies/401-before-body movies/at-once \
             movies/decodes movies/echo movies/field-order movies/fresh-ids movies/integer-rating \
             movies/random-ids movies/user http/any-client http/split-requests http/pipelined",
            success(MOVIES),
            set_status(200),
        ),
        refuses(
            "integer-rating-of-k6-is-refused",
            "movies/201 movies/201-64-KiB movies/201-chunked movies/201-content-types \
             movies/201-depth-128 movies/201-numbers movies/accepts-* movies/401-before-body \
             movies/at-once movies/echo movies/fresh-ids movies/integer-rating movies/random-ids \
             movies/refuses-kept-expired movies/user",
            InvalidBody,
            |post| {
                // Only for k6: the random movies of other clients may have a fraction, or not.
                let is_k6 = post.headers()[USER_AGENT] == "Grafana k6/1.1.0";
                let sent: Value =
                    serde_json::from_slice(post.body()).unwrap_or_else(|_| json!({"rating": 8}));
                is_k6 && (sent["rating"].is_i64() || sent["rating"].is_u64())
            },
        ),
        on_post(
            "surrogate-pair-is-two-letters",
            "movies/decodes",
            async |target, post: Post| {
                let body = match std::str::from_utf8(post.body()) {
                    Ok(text) => text.replace("\\ud83c\\udfac", "\\ufffd\\ufffd").into(),
                    Err(_) => post.body().clone(),
                };
                target.respond(post.map(|_| Body::from(body))).await
            },
        ),
        on_post(
            "movie-is-the-bytes-of-the-body",
            "movies/decodes movies/field-order movies/201-unknown-fields movies/201-depth-128",
            async |target, post: Post| {
                let response = target.respond(post.clone().map(Body::from)).await;
                if !response.status().is_success() {
                    return response;
                }
                changed(response, |response| {
                    let sent = std::str::from_utf8(post.body()).unwrap();
                    let sent = sent.trim_end().strip_suffix('}').unwrap();
                    let movie = parse_movie(response.body());
                    let user = serde_json::to_string(&movie.user).unwrap();
                    let text = format!("{sent},\"id\":\"{}\",\"user\":{user}}}", movie.id);
                    *response.body_mut() = text.into();
                })
                .await
            },
        ),
        Mutant::change(
            "movies-in-another-order",
            "movies/field-order",
            success(MOVIES),
            text(|text| {
                let (fields, user) = text.split_once(",\"user\":").unwrap();
                let (fields, id) = fields.split_once(",\"id\":").unwrap();
                format!("{{\"id\":{id},{},\"user\":{user}", &fields[1..])
            }),
        ),
        Mutant::change(
            "movies-as-text",
            "movies/content-type",
            success(MOVIES),
            set_header(CONTENT_TYPE, "text/plain"),
        ),
    ]
}

fn stateful() -> Vec<Mutant> {
    let count = AtomicUsize::new(0);
    let movies: Mutex<HashMap<_, NewMovie<'static>>> = Mutex::default();
    let users: Mutex<HashMap<Bytes, (String, String)>> = Mutex::default();
    let last_id: Mutex<Option<Uuid>> = Mutex::default();
    let next_id = AtomicU32::new(0);
    vec![
        changes_movie("first-movie-has-no-user", "movies/201", move |_, movie| {
            if count.fetch_add(1, Ordering::Relaxed) == 0 {
                movie.user.id = "".into();
            }
        }),
        changes_movie(
            "movie-of-a-known-title-is-kept",
            "movies/echo movies/201-numbers",
            move |post, movie| {
                let key = (
                    movie.user.id.to_string(),
                    movie.new.title.to_string(),
                    movie.new.year,
                );
                let sent = || owned(serde_json::from_slice(post.body()).unwrap());
                let mut movies = movies.lock().unwrap();
                movie.new = movies.entry(key).or_insert_with(sent).clone();
            },
        ),
        changes_movie(
            "body-belongs-to-its-first-user",
            "movies/user movies/accepts-*",
            move |post, movie| {
                let user = (movie.user.id.to_string(), movie.user.name.to_string());
                let mut users = users.lock().unwrap();
                let (id, name) = users.entry(post.body().clone()).or_insert(user).clone();
                movie.user.id = id.into();
                movie.user.name = name.into();
            },
        ),
        changes_movie(
            "every-id-comes-twice",
            "movies/fresh-ids",
            move |_, movie| {
                let mut last_id = last_id.lock().unwrap();
                match last_id.take() {
                    Some(id) => movie.id = id,
                    None => *last_id = Some(movie.id),
                }
            },
        ),
        changes_movie(
            "ids-come-from-a-counter",
            "movies/random-ids",
            move |_, movie| {
                let id = next_id.fetch_add(1, Ordering::Relaxed);
                movie.id = Uuid::from_fields(id, 0x1a2b, 0x4c3d, &[0x8a, 1, 2, 3, 4, 5, 6, 7]);
            },
        ),
        mixes_users_up(),
    ]
}

/// Stores the id of each new user in one of a few slots, which a concurrent request may overwrite.
fn mixes_users_up() -> Mutant {
    let known: Arc<Mutex<HashSet<String>>> = Arc::default();
    let slots: Arc<Mutex<[String; SLOTS]>> = Arc::default();
    let next = Arc::new(AtomicUsize::new(0));
    on_post(
        "new-users-are-mixed-up",
        // Checks that run at the same time may notice it too.
        "movies/at-once movies/*",
        move |target, post| {
            let (known, slots, next) = (Arc::clone(&known), Arc::clone(&slots), Arc::clone(&next));
            async move {
                let response = target.respond(post.map(Body::from)).await;
                if !response.status().is_success() {
                    return response;
                }
                let (parts, body) = changed(response, |_| {}).await.into_parts();
                let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
                let mut movie = parse_movie(&body);
                // The requests of a burst with k6's movie have one user.
                let is_k6 = movie.new.title == fixtures::new_movie().title;
                let id = movie.user.id.to_string();
                if !is_k6 && known.lock().unwrap().insert(id.clone()) {
                    let slot = next.fetch_add(1, Ordering::Relaxed) % SLOTS;
                    slots.lock().unwrap()[slot] = id;
                    tokio::time::sleep(LOOK_UP).await;
                    movie.user.id = slots.lock().unwrap()[slot].clone().into();
                }
                let body = serde_json::to_vec(&movie).unwrap();
                axum::http::Response::from_parts(parts, Body::from(body))
            }
        },
    )
}

fn owned(movie: NewMovie<'_>) -> NewMovie<'static> {
    NewMovie {
        title: movie.title.into_owned().into(),
        year: movie.year,
        director: movie.director.into_owned().into(),
        genre: movie.genre.into_owned().into(),
        rating: movie.rating,
    }
}
