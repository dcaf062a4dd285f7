//! What holds for every input, shown by many: proptest makes them, and makes the one that fails as
//! small as it can.

use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use schema::{ErrorBody, ErrorCode, Movie, NewMovie, fixtures};
use serde_json::{Map, Value};

use crate::suite::{JSON, Target, authorization, request};

/// Inputs of a property: each is a request or several.
const CASES: u32 = 256;

static TARGET: LazyLock<Target> = LazyLock::new(Target::start);

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: CASES,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    }
}

/// Fails unless a 4xx is a row of the contract's table, whole.
fn assert_row(status: u16, content_type: Option<&str>, body: &[u8]) {
    let error: ErrorBody<'_> = serde_json::from_slice(body).unwrap();
    let is_row = ErrorCode::ALL
        .iter()
        .any(|code| (code.status(), code.phrase()) == (status, &*error.error));
    assert!(is_row, "{status} {error:?}");
    assert_eq!(content_type, Some("application/json"));
}

/// Sends a body to `/movies`: no 5xx comes, and every 4xx is the contract's.
fn post(body: &[u8]) -> (u16, Vec<u8>) {
    let answer = TARGET.post_movie(body);
    assert!(
        answer.status == 201 || (400..500).contains(&answer.status),
        "{}",
        answer.status
    );
    if answer.status != 201 {
        assert_row(answer.status, answer.header("content-type"), &answer.body);
    }
    (answer.status, answer.body)
}

/// Any JSON value, a few levels deep.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((any::<String>(), inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_movie_comes_back_as_it_was(
        texts in any::<[String; 3]>(),
        year in any::<i32>(),
        rating in proptest::num::f64::NORMAL | proptest::num::f64::ZERO | proptest::num::f64::SUBNORMAL,
    ) {
        let [title, director, genre] = &texts;
        let movie = NewMovie {
            title: title.into(),
            year,
            director: director.into(),
            genre: genre.into(),
            rating,
        };
        let text = serde_json::to_string(&movie).unwrap();
        let (status, body) = post(text.as_bytes());
        prop_assert_eq!(status, 201);
        let created: Movie<'_> = serde_json::from_slice(&body).unwrap();
        prop_assert_eq!(&created.new, &serde_json::from_str::<NewMovie<'_>>(&text).unwrap());
        prop_assert_eq!(created.new.title, movie.title);
        prop_assert_eq!(created.new.year, year);
    }

    #[test]
    fn what_serde_json_takes_for_a_movie_is_taken_and_comes_back(
        change in proptest::sample::select(vec!["title", "year", "director", "genre", "rating", "more"]),
        to in value(),
    ) {
        let mut movie = serde_json::to_value(fixtures::new_movie()).unwrap();
        movie[change] = to;
        let text = movie.to_string();
        let (status, body) = post(text.as_bytes());
        match serde_json::from_str::<NewMovie<'_>>(&text) {
            Ok(movie) => {
                prop_assert_eq!(status, 201, "{}", text);
                let created: Movie<'_> = serde_json::from_slice(&body).unwrap();
                prop_assert_eq!(created.new, movie);
            }
            Err(_) => prop_assert_eq!(status, ErrorCode::InvalidBody.status(), "{}", text),
        }
    }

    #[test]
    fn no_bytes_as_a_body_are_more_than_the_sender_s_fault(body in vec(any::<u8>(), 0..512)) {
        post(&body);
    }

    #[test]
    fn a_movie_with_a_byte_changed_is_at_worst_the_sender_s_fault(
        place in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut body = serde_json::to_vec(&fixtures::new_movie()).unwrap();
        let place = place.index(body.len());
        body[place] = byte;
        post(&body);
    }

    #[test]
    fn no_json_is_more_than_the_sender_s_fault(value in value(), fields in vec((any::<String>(), value()), 0..4)) {
        post(value.to_string().as_bytes());
        post(Value::Object(Map::from_iter(fields)).to_string().as_bytes());
    }

    #[test]
    fn no_header_and_no_query_makes_info_fail(
        name in "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}",
        value in "[\\t -~\u{80}-\u{ff}]{0,60}",
        query in "[!-~]{0,60}",
    ) {
        let special = ["host", "content-length", "transfer-encoding", "connection", "expect"];
        let name = match special.contains(&name.to_ascii_lowercase().as_str()) {
            true => "x-other".to_owned(),
            false => name,
        };
        let line = format!("{name}: {value}");
        let answer = TARGET.ask(request("GET", &format!("/info?{query}"), &[&line], ""));
        // What is no URL or no head is the server's own 400.
        prop_assert!(matches!(answer.status, 200 | 400), "{} for {:?}", answer.status, line);
        if answer.status == 400 {
            prop_assert!(answer.body.is_empty());
        }
    }

    #[test]
    fn no_token_and_no_content_type_makes_movies_fail(
        token in "[ -~]{0,120}",
        content_type in "[ -~]{0,60}",
    ) {
        let movie = serde_json::to_string(&fixtures::new_movie()).unwrap();
        let right = authorization(&fixtures::claims());
        let made_up = format!("authorization: {token}");
        let answer = TARGET.ask(request("POST", "/movies", &[&made_up, JSON], &movie));
        prop_assert_eq!(answer.status, 401);
        assert_row(401, answer.header("content-type"), &answer.body);
        let content_type = format!("content-type: {content_type}");
        let answer = TARGET.ask(request("POST", "/movies", &[&right, &content_type], &movie));
        prop_assert!(matches!(answer.status, 201 | 415), "{}", answer.status);
        if answer.status == 415 {
            assert_row(415, answer.header("content-type"), &answer.body);
        }
    }
}
