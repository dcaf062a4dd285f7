//! Both profiles give the same answer to every request, and no request is answered with a 5xx: proptest
//! generates the requests and shrinks one that fails.

use std::cell::Cell;
use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{FileFailurePersistence, TestRunner};
use schema::{ErrorBody, ErrorCode, Movie, NewMovie, env, fixtures};
use serde_json::{Map, Value};
use target_axum::{TunedVerifier, Verifier};
use testbed::raw::Answer;
use testbed::token::{Algorithm, forge};

use crate::suite::{
    IDIOMATIC, JSON, TUNED, Target, authorization, body, movie, post_movie, request,
};

/// Generated tokens of the default run.
const TOKENS: u32 = 2000;

/// Generated requests of each other property.
const REQUESTS: u32 = 256;

static TARGETS: LazyLock<[Target; 2]> = LazyLock::new(|| [IDIOMATIC.start(), TUNED.start()]);

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    }
}

/// Sends a request to both targets and returns the answer, which must be the same but for the parts
/// that are fresh for each response. A 4xx of the target itself is a row of the contract's table.
#[track_caller]
fn ask_both(request: impl AsRef<[u8]>) -> Answer {
    let [idiomatic, tuned] = TARGETS.each_ref().map(|target| target.ask(&request));
    let comparable = |answer: &Answer| {
        let mut headers = answer.headers.clone();
        headers.retain(|(name, _)| name != "date" && name != "x-response-id");
        let body = match answer.status {
            201 => {
                let mut movie = body(answer);
                movie["id"] = Value::Null;
                movie.to_string()
            }
            _ => answer.text(),
        };
        (answer.status, headers, body)
    };
    assert_eq!(comparable(&idiomatic), comparable(&tuned));
    assert!(idiomatic.status < 500, "{}", idiomatic.text());
    if idiomatic.status >= 400 && !idiomatic.body.is_empty() {
        let error: ErrorBody<'_> = serde_json::from_slice(&idiomatic.body).unwrap();
        let row = (idiomatic.status, &*error.error);
        let mut rows = ErrorCode::ALL.iter();
        assert!(
            rows.any(|code| (code.status(), code.phrase()) == row),
            "{row:?}"
        );
        assert_eq!(idiomatic.header("content-type"), Some("application/json"));
    }
    idiomatic
}

/// Generates any JSON value of a few levels.
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

/// A change of a text: the bytes from an index on, as many as the number says, become the others.
type Edit = (Index, usize, &'static str);

/// Generates up to three edits, with JSON and claims among the insertions.
fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let insertions = select(vec![
        "",
        "{",
        "}",
        "[",
        "]",
        "\"",
        ",",
        ":",
        ".",
        "0",
        "1",
        "-",
        "e9",
        "\\",
        "\\ud800",
        " ",
        "=",
        "null",
        "a",
        "A",
        "_",
        "\u{feff}",
        r#""sub":"x","#,
        r#""name":"","#,
        r#""exp":null,"#,
        r#""exp":1e300,"#,
        r#""exp":-1,"#,
        r#""nbf":9e9,"#,
        r#""nbf":-1.5,"#,
        r#""iat":"1","#,
        r#""iss":"a","#,
        r#""iss":{"a":[1]},"#,
        r#""aud":["a","b"],"#,
        r#""aud":1,"#,
        r#""\u0061ud":[[]],"#,
        r#""crit":["b64"],"#,
        r#""crit":null,"#,
        r#""kid":1,"#,
        r#""typ":"x","#,
        r#""alg":"none","#,
        r#""x":{"y":[1e400]},"#,
        r#""title":"x","#,
        r#""year":2147483648,"#,
        r#""rating":"1","#,
    ]);
    vec((any::<Index>(), 0..4_usize, insertions), 0..4)
}

fn edited(text: &str, edits: &[Edit]) -> String {
    let mut text = text.to_owned();
    for (index, removed, inserted) in edits {
        // Half of the edits are behind the first brace, where a member makes sense.
        let mut start = index.index(2 * text.len() + 2);
        if start > text.len() {
            start = usize::from(text.starts_with('{'));
        }
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let mut end = (start + removed).min(text.len());
        while !text.is_char_boundary(end) {
            end += 1;
        }
        text.replace_range(start..end, inserted);
    }
    text
}

/// Generates tokens: header and claims are edited before they are signed, and the token afterwards.
fn token() -> impl Strategy<Value = String> {
    let headers = select(vec![
        r#"{"alg":"HS256","typ":"JWT"}"#,
        r#"{"typ":"JWT","alg":"HS256"}"#,
        r#"{"alg":"HS256"}"#,
    ]);
    let claims = select(vec![
        r#"{"sub":"user-123","name":"Ada Lovelace","iat":1767225600}"#,
        r#"{"sub":"user-123","name":"n","exp":99999999999,"nbf":1.5}"#,
        r#"{"iss":"a","aud":["b"],"sub":"user-123","name":"n"}"#,
        r#" {"sub":"a\u0062","name":"\ud83c\udfac"} "#,
    ]);
    let rarely = || prop_oneof![3 => Just(Vec::new()), 1 => edits()];
    (headers, rarely(), claims, edits(), rarely()).prop_map(
        |(header, header_edits, claims, claim_edits, edits)| {
            let (header, claims) = (edited(header, &header_edits), edited(claims, &claim_edits));
            let secret = env::bench_value(&env::JWT_SECRET);
            let token = forge(&header, &claims, Algorithm::HS256, secret);
            edited(&token, &edits)
        },
    )
}

#[test]
fn mutated_token_has_the_same_claims_in_both_profiles() {
    let secret = env::bench_value(&env::JWT_SECRET);
    let (idiomatic, tuned) = (Verifier::new(secret), TunedVerifier::new(secret));
    let accepted = Cell::new(0);
    TestRunner::new(config(TOKENS))
        .run(&token(), |token| {
            let claims = idiomatic.verify(&token);
            accepted.set(accepted.get() + u32::from(claims.is_some()));
            prop_assert_eq!(claims, tuned.verify(&token));
            Ok(())
        })
        .unwrap();
    let accepted = accepted.get();
    assert!(
        (TOKENS / 10..TOKENS * 9 / 10).contains(&accepted),
        "{accepted} accepted"
    );
}

proptest! {
    #![proptest_config(config(REQUESTS))]

    #[test]
    fn mutated_authorization_header_has_the_same_answer(
        token in token(),
        scheme in select(vec!["Bearer ", "bearer  ", "Bearer", "Basic ", "", "Bearer\t"]),
        other in "[ -~]{0,120}",
    ) {
        for credentials in [format!("{scheme}{token}"), other] {
            let line = format!("authorization: {credentials}");
            ask_both(request("GET", "/users/me", &[&line], ""));
            ask_both(request("POST", "/movies", &[&line, JSON], &movie()));
        }
    }

    #[test]
    fn mutated_movie_has_the_same_answer(edits in edits(), place in any::<Index>(), byte in any::<u8>()) {
        let edited = edited(&movie(), &edits);
        ask_both(post_movie(&[], &edited));
        let mut bytes = movie().into_bytes();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        ask_both(post_movie(&[], bytes));
    }

    #[test]
    fn any_body_has_the_same_answer(
        bytes in vec(any::<u8>(), 0..512),
        value in value(),
        fields in vec((any::<String>(), value()), 0..4),
    ) {
        ask_both(post_movie(&[], bytes));
        ask_both(post_movie(&[], value.to_string()));
        ask_both(post_movie(&[], Value::Object(Map::from_iter(fields)).to_string()));
    }

    #[test]
    fn any_movie_comes_back_as_it_was(
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
        let answer = ask_both(post_movie(&[], serde_json::to_string(&movie).unwrap()));
        prop_assert_eq!(answer.status, 201);
        let created: Movie<'_> = serde_json::from_slice(&answer.body).unwrap();
        prop_assert_eq!(created.new.rating.to_bits(), rating.to_bits());
        prop_assert_eq!(created.new, movie);
    }

    #[test]
    fn movie_is_accepted_exactly_if_serde_json_decodes_it(
        field in select(vec!["title", "year", "director", "genre", "rating", "more"]),
        value in value(),
    ) {
        let mut movie = serde_json::to_value(fixtures::new_movie()).unwrap();
        movie[field] = value;
        let text = movie.to_string();
        let answer = ask_both(post_movie(&[], &text));
        match serde_json::from_str::<NewMovie<'_>>(&text) {
            Ok(movie) => {
                prop_assert_eq!(answer.status, 201, "{}", text);
                let created: Movie<'_> = serde_json::from_slice(&answer.body).unwrap();
                prop_assert_eq!(created.new, movie);
            }
            Err(_) => prop_assert_eq!(answer.status, 422, "{}", text),
        }
    }

    #[test]
    fn any_header_query_or_content_type_is_handled(
        name in "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}",
        value in "[\\t -~\u{80}-\u{ff}]{0,60}",
        query in "[!-~]{0,60}",
        content_type in "[ -~]{0,60}",
    ) {
        let special = ["host", "content-length", "transfer-encoding", "connection", "expect"];
        let line = match special.contains(&name.to_ascii_lowercase().as_str()) {
            true => format!("x-other: {value}"),
            false => format!("{name}: {value}"),
        };
        let answer = ask_both(request("GET", &format!("/info?{query}"), &[&line], ""));
        // An invalid URL or head is refused by the server without a body.
        prop_assert!(matches!((answer.status, answer.body.len()), (200, _) | (400, 0)), "{line:?}");
        let content_type = format!("content-type: {content_type}");
        let token = authorization(&fixtures::claims());
        let answer = ask_both(request("POST", "/movies", &[&token, &content_type], &movie()));
        prop_assert!(matches!(answer.status, 201 | 415), "{}", answer.status);
    }
}
