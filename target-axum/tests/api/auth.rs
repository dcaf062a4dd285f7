//! The token, on both endpoints that ask for one.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use schema::{ErrorCode, env, fixtures};
use serde_json::{Value, json};

use crate::suite::{JSON, Target, assert_error, authorization, request};

fn now_secs() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs()
}

fn sign(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(algorithm), claims, &key).unwrap()
}

/// A header line with a token for these claims, rightly signed.
fn signed(claims: &Value) -> String {
    let secret = env::bench_value(&env::JWT_SECRET);
    format!(
        "authorization: Bearer {}",
        sign(Algorithm::HS256, secret, claims)
    )
}

/// The bench claims with some of them set otherwise.
fn claims(changes: &Value) -> Value {
    let mut claims = serde_json::to_value(fixtures::claims()).unwrap();
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

/// The statuses of both endpoints for these header lines; each refusal is a whole one.
#[track_caller]
fn assert_refused(target: &Target, headers: &[&str]) {
    let answer = target.ask(request("GET", "/users/me", headers, ""));
    assert_error(&answer, ErrorCode::InvalidToken);
    let movie = serde_json::to_string(&fixtures::new_movie()).unwrap();
    let answer = target.ask(request(
        "POST",
        "/movies",
        &[headers, &[JSON]].concat(),
        &movie,
    ));
    assert_error(&answer, ErrorCode::InvalidToken);
}

#[track_caller]
fn assert_accepted(target: &Target, headers: &[&str]) {
    let answer = target.ask(request("GET", "/users/me", headers, ""));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn the_public_harness_s_token_without_exp_is_accepted() {
    assert_accepted(&Target::start(), &[&signed(&claims(&json!({})))]);
}

#[test]
fn the_scheme_is_case_insensitive() {
    let target = Target::start();
    let header = signed(&claims(&json!({})));
    for scheme in ["bearer", "BEARER", "bEaReR", "Bearer  "] {
        assert_accepted(&target, &[&header.replace("Bearer", scheme)]);
    }
}

#[test]
fn no_token_another_scheme_and_two_headers_are_refused() {
    let target = Target::start();
    let header = signed(&claims(&json!({})));
    assert_refused(&target, &[]);
    assert_refused(&target, &["authorization:"]);
    assert_refused(&target, &["authorization: Bearer"]);
    assert_refused(&target, &[&header.replace("Bearer", "Basic")]);
    assert_refused(&target, &[&header.replace("Bearer ", "")]);
    assert_refused(&target, &[&header, &header]);
    assert_refused(&target, &[&header, "authorization: Basic x"]);
}

#[test]
fn malformed_tokens_are_refused() {
    let target = Target::start();
    let header = signed(&claims(&json!({})));
    for token in ["x", "..", "a.b.c", "e30.e30.e30", "=.=.="] {
        assert_refused(&target, &[&format!("authorization: Bearer {token}")]);
    }
    let last_dot = header.rfind('.').unwrap();
    assert_refused(&target, &[&header[..last_dot]]);
    assert_refused(&target, &[&header[..=last_dot]]);
    assert_refused(&target, &[&format!("{header}.x")]);
    assert_refused(&target, &[&format!("{header} x")]);
}

#[test]
fn a_token_with_a_bad_signature_is_refused() {
    let target = Target::start();
    let header = signed(&claims(&json!({})));
    let swapped = match header.as_bytes()[header.len() - 5] {
        b'A' => 'B',
        _ => 'A',
    };
    let mut bad = header.clone();
    bad.replace_range(header.len() - 5..header.len() - 4, &swapped.to_string());
    assert_refused(&target, &[&bad]);
}

#[test]
fn rejects_a_token_signed_with_another_secret() {
    let token = sign(Algorithm::HS256, "another secret", &claims(&json!({})));
    assert_refused(
        &Target::start(),
        &[&format!("authorization: Bearer {token}")],
    );
}

#[test]
fn other_algorithms_are_refused_even_with_the_right_secret() {
    let target = Target::start();
    let secret = env::bench_value(&env::JWT_SECRET);
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        let token = sign(algorithm, secret, &claims(&json!({})));
        assert_refused(&target, &[&format!("authorization: Bearer {token}")]);
    }
    // {"alg":"none"}, {"alg":"None"} and {"alg":"RS256"}, each before the rightly signed claims.
    let header = signed(&claims(&json!({})));
    let (_, rest) = header.split_once('.').unwrap();
    let (body, _) = rest.split_once('.').unwrap();
    for alg in [
        "eyJhbGciOiJub25lIn0",
        "eyJhbGciOiJOb25lIn0",
        "eyJhbGciOiJSUzI1NiJ9",
    ] {
        assert_refused(&target, &[&format!("authorization: Bearer {alg}.{body}.")]);
        assert_refused(&target, &[&format!("authorization: Bearer {alg}.{rest}")]);
    }
}

#[test]
fn exp_and_nbf_are_enforced_without_leeway() {
    let target = Target::start();
    let now = now_secs();
    assert_accepted(&target, &[&signed(&claims(&json!({"exp": now + 60})))]);
    assert_accepted(
        &target,
        &[&signed(&claims(&json!({"exp": now as f64 + 60.5})))],
    );
    assert_accepted(&target, &[&signed(&claims(&json!({"nbf": now})))]);
    for refused in [
        json!({"exp": now}),
        json!({"exp": now - 1}),
        json!({"exp": 0}),
        json!({"exp": -1}),
        json!({"nbf": now + 60}),
        json!({"nbf": now + 60, "exp": now + 120}),
    ] {
        assert_refused(&target, &[&signed(&claims(&refused))]);
    }
}

#[test]
fn claims_of_the_wrong_type_are_refused() {
    let target = Target::start();
    for wrong in [
        json!("9999999999"),
        json!(null),
        json!([]),
        json!({}),
        json!(true),
    ] {
        for claim in ["exp", "nbf"] {
            assert_refused(&target, &[&signed(&claims(&json!({ claim: wrong })))]);
        }
    }
}

#[test]
fn sub_and_name_are_required_strings_that_are_not_empty() {
    let target = Target::start();
    for claim in ["sub", "name"] {
        let mut missing = claims(&json!({}));
        missing.as_object_mut().unwrap().remove(claim);
        assert_refused(&target, &[&signed(&missing)]);
        for wrong in [json!(""), json!(null), json!(1), json!(["user-123"])] {
            assert_refused(&target, &[&signed(&claims(&json!({ claim: wrong })))]);
        }
    }
    for no_object in [
        json!(["user-123", "Ada Lovelace"]),
        json!("user-123"),
        json!(null),
    ] {
        assert_refused(&target, &[&signed(&no_object)]);
    }
}

#[test]
fn a_token_with_an_extension_that_must_be_understood_is_refused() {
    let mut header = Header::new(Algorithm::HS256);
    header.crit = Some(vec!["b64".to_owned()]);
    let key = EncodingKey::from_secret(env::bench_value(&env::JWT_SECRET).as_bytes());
    let token = jsonwebtoken::encode(&header, &fixtures::claims(), &key).unwrap();
    assert_refused(
        &Target::start(),
        &[&format!("authorization: Bearer {token}")],
    );
}

#[test]
fn a_token_is_asked_for_before_the_body_is_read() {
    let target = Target::start();
    let mut connection = target.connect();
    let head = "POST /movies HTTP/1.1\r\nhost: target\r\ncontent-length: 1000\r\n\r\n";
    connection.send(head).unwrap();
    assert_error(&connection.answer().unwrap(), ErrorCode::InvalidToken);
}

#[test]
fn an_invalid_token_wins_over_every_other_fault_of_the_request() {
    let target = Target::start();
    for (content_type, body) in [("text/plain", "{}"), ("application/json", "nope")] {
        let content_type = format!("content-type: {content_type}");
        let answer = target.ask(request("POST", "/movies", &[&content_type], body));
        assert_error(&answer, ErrorCode::InvalidToken);
    }
}

#[test]
fn a_long_token_is_still_a_token() {
    let mut claims = fixtures::claims();
    claims.name = "x".repeat(8000);
    assert_accepted(&Target::start(), &[&authorization(&claims)]);
}
