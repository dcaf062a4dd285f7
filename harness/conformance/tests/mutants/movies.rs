//! Mutants of `POST /movies`, but for those of its body.

use std::collections::{HashMap, HashSet};
use std::string::FromUtf8Error;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, USER_AGENT};
use axum::http::{HeaderValue, StatusCode};
use schema::ErrorCode::InvalidBody;
use schema::routes::MOVIES;
use schema::{NewMovie, fixtures};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::bodies::post::{Post, movie, of_movie, of_post, refuses};
use crate::server::{Mutant, changed};

/// Users of whom a mutant knows at the same time who they are.
const SLOTS: usize = 20;

/// Time to find out who somebody is.
const SLOW: Duration = Duration::from_millis(10);

pub(crate) fn mutants() -> Vec<Mutant> {
    let mut mutants = vec![
        Mutant::of_answer(
            "movies-is-200",
            &[
                "movies/201",
                "movies/201-*",
                "movies/accepts-*",
                "movies/401-before-body",
                "movies/at-once",
                "movies/decodes",
                "movies/echo",
                "movies/field-order",
                "movies/fresh-ids",
                "movies/integer-rating",
                "movies/random-ids",
                "movies/user",
                "http/any-client",
            ],
            MOVIES,
            |answer| *answer.status_mut() = StatusCode::OK,
        ),
        refuses(
            "an-integer-of-javascript-is-no-rating",
            &[
                "movies/201",
                "movies/201-64-KiB",
                "movies/201-chunked",
                "movies/201-content-types",
                "movies/201-depth-128",
                "movies/201-numbers",
                "movies/accepts-*",
                "movies/401-before-body",
                "movies/at-once",
                "movies/echo",
                "movies/fresh-ids",
                "movies/integer-rating",
                "movies/random-ids",
                "movies/user",
            ],
            InvalidBody,
            |post| {
                // Only of k6: the random movies of other clients may have a fraction, or not.
                let is_k6 = post.headers()[USER_AGENT] == "Grafana k6/1.1.0";
                let sent: Value =
                    serde_json::from_slice(post.body()).unwrap_or_else(|_| json!({"rating": 8}));
                is_k6 && (sent["rating"].is_i64() || sent["rating"].is_u64())
            },
        ),
        of_post(
            "surrogate-pairs-are-two-letters",
            &["movies/decodes"],
            async |honest, post: Post| {
                let body = String::from_utf8(post.body().to_vec());
                let body = body.map(|text| {
                    text.replace("\\ud83c\\udfac", "\\ufffd\\ufffd")
                        .into_bytes()
                });
                let body = body.unwrap_or_else(FromUtf8Error::into_bytes);
                honest.answer(post.map(|_| Body::from(body))).await
            },
        ),
        of_post(
            "a-movie-is-its-bodys-bytes",
            &[
                "movies/decodes",
                "movies/field-order",
                "movies/201-unknown-fields",
                "movies/201-depth-128",
            ],
            async |honest, post: Post| {
                let answer = honest.answer(post.clone().map(Body::from)).await;
                if !answer.status().is_success() {
                    return answer;
                }
                changed(answer, |answer| {
                    let sent = String::from_utf8(post.body().to_vec()).unwrap();
                    let sent = sent.trim_end().strip_suffix('}').unwrap();
                    let movie = movie(answer.body());
                    let user = serde_json::to_string(&movie.user).unwrap();
                    let text = format!("{sent},\"id\":\"{}\",\"user\":{user}}}", movie.id);
                    *answer.body_mut() = text.into();
                })
                .await
            },
        ),
        Mutant::of_text(
            "movies-in-another-order",
            &["movies/field-order"],
            MOVIES,
            |text| {
                let (fields, user) = text.split_once(",\"user\":").unwrap();
                let (fields, id) = fields.split_once(",\"id\":").unwrap();
                format!("{{\"id\":{id},{},\"user\":{user}", &fields[1..])
            },
        ),
        Mutant::of_answer(
            "movies-as-text",
            &["movies/content-type"],
            MOVIES,
            |answer| {
                answer
                    .headers_mut()
                    .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            },
        ),
    ];
    mutants.extend(of_state());
    mutants
}

/// Those that remember something.
fn of_state() -> Vec<Mutant> {
    vec![
        of_movie("the-first-movie-is-of-nobody", &["movies/201"], {
            let count = AtomicUsize::new(0);
            move |_, movie| {
                if count.fetch_add(1, Ordering::Relaxed) == 0 {
                    movie.user.id = "".into();
                }
            }
        }),
        of_movie(
            "a-movie-of-one-title-is-remembered",
            &["movies/echo", "movies/201-numbers"],
            {
                let known: Mutex<HashMap<_, NewMovie<'static>>> = Mutex::default();
                move |post, movie| {
                    let key = (
                        movie.user.id.clone().into_owned(),
                        movie.new.title.clone().into_owned(),
                        movie.new.year,
                    );
                    let sent = || owned(serde_json::from_slice(post.body()).unwrap());
                    movie.new = known
                        .lock()
                        .unwrap()
                        .entry(key)
                        .or_insert_with(sent)
                        .clone();
                }
            },
        ),
        of_movie(
            "a-body-is-of-who-sent-it-first",
            &["movies/user", "movies/accepts-*"],
            {
                let known: Mutex<HashMap<_, (String, String)>> = Mutex::default();
                move |post, movie| {
                    let mut known = known.lock().unwrap();
                    let user = known.entry(post.body().clone()).or_insert_with(|| {
                        (
                            movie.user.id.clone().into_owned(),
                            movie.user.name.clone().into_owned(),
                        )
                    });
                    movie.user.id = user.0.clone().into();
                    movie.user.name = user.1.clone().into();
                }
            },
        ),
        of_movie("every-id-comes-twice", &["movies/fresh-ids"], {
            let last: Mutex<Option<Uuid>> = Mutex::default();
            move |_, movie| {
                let mut last = last.lock().unwrap();
                match last.take() {
                    Some(id) => movie.id = id,
                    None => *last = Some(movie.id),
                }
            }
        }),
        of_movie("ids-come-from-a-counter", &["movies/random-ids"], {
            let count = AtomicU32::new(0);
            move |_, movie| {
                let count = count.fetch_add(1, Ordering::Relaxed);
                movie.id = Uuid::from_fields(count, 0x1a2b, 0x4c3d, &[0x8a, 1, 2, 3, 4, 5, 6, 7]);
            }
        }),
        mixes_users_up(),
    ]
}

/// Whoever is new is looked up while one of a few slots is theirs, or somebody else's by then.
fn mixes_users_up() -> Mutant {
    let known: Arc<Mutex<HashSet<String>>> = Arc::default();
    let slots: Arc<Mutex<[String; SLOTS]>> = Arc::default();
    let next = Arc::new(AtomicUsize::new(0));
    of_post(
        "new-users-are-mixed-up",
        &["movies/at-once"],
        move |honest, post| {
            let (known, slots, next) = (Arc::clone(&known), Arc::clone(&slots), Arc::clone(&next));
            async move {
                let answer = honest.answer(post.map(Body::from)).await;
                if !answer.status().is_success() {
                    return answer;
                }
                let (parts, body) = changed(answer, |_| {}).await.into_parts();
                let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
                let mut movie = movie(&body);
                // Those who send k6's movie all at once are one user.
                let is_k6s = movie.new.title == fixtures::new_movie().title;
                let id = movie.user.id.clone().into_owned();
                if !is_k6s && known.lock().unwrap().insert(id.clone()) {
                    let slot = next.fetch_add(1, Ordering::Relaxed) % SLOTS;
                    slots.lock().unwrap()[slot] = id;
                    tokio::time::sleep(SLOW).await;
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
