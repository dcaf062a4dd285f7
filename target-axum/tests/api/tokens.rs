//! Tokens in the ways that have fooled other libraries (RFC 8725), and unusual valid ones, for the
//! verifiers of both profiles.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use schema::{ErrorCode, env, fixtures};
use serde_json::{Value, json};
use target_axum::{TunedVerifier, Verifier};
use testbed::token::{self, Algorithm, forge};

use crate::suite::{JSON, assert_error, each_profile, request};

const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

fn secret() -> &'static str {
    env::bench_value(&env::JWT_SECRET)
}

fn claims() -> String {
    claims_with(&json!({}))
}

/// Returns the bench claims with some of them changed.
fn claims_with(changes: &Value) -> String {
    let mut claims = serde_json::to_value(fixtures::claims()).unwrap();
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.to_string()
}

/// Returns a token of these two texts with a valid HS256 signature, whatever the header says.
fn token(header: &str, claims: &str) -> String {
    forge(header, claims, Algorithm::HS256, secret())
}

/// Returns the two signed parts of the bench token together, and its signature.
fn bench_token() -> (String, String) {
    let whole = token(HEADER, &claims());
    let (signed, signature) = whole.rsplit_once('.').unwrap();
    (signed.to_owned(), signature.to_owned())
}

#[track_caller]
fn assert_decided(accepted: bool, tokens: &[String]) {
    let (idiomatic, tuned) = (Verifier::new(secret()), TunedVerifier::new(secret()));
    for token in tokens {
        let decided = (
            idiomatic.verify(token).is_some(),
            tuned.verify(token).is_some(),
        );
        assert_eq!(decided, (accepted, accepted), "{token}");
    }
}

#[track_caller]
fn assert_refused(tokens: &[String]) {
    assert_decided(false, tokens);
}

fn now_secs() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs()
}

#[test]
fn unusual_but_valid_tokens_are_accepted() {
    let now = now_secs();
    let with = |changes: &Value| token(HEADER, &claims_with(changes));
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    let raw = |member: &str| format!(r#"{{"sub":"user-123","name":"n",{member}}}"#);
    let tokens = [
        with(&json!({})),
        with(&json!({"exp": now + 60})),
        with(&json!({"exp": now as f64 + 60.5})),
        with(&json!({"nbf": now})),
        with(&json!({"nbf": -1})),
        with(&json!({"aud": "another", "iss": ["a", "b"], "other": null})),
        with(&json!({"name": "x".repeat(8000)})),
        token(HEADER, &raw(r#""exp":1e300"#)),
        token(HEADER, &raw(&format!(r#""x":{}"#, "9".repeat(500)))),
        token(HEADER, &raw(&format!(r#""x":{deep}"#))),
        token(r#"{"alg":"HS256"}"#, &claims()),
        token(r#"{"typ":"JWT","alg":"HS256"}"#, &claims()),
        // The key is the configured one: nothing is fetched, opened or looked up.
        token(r#"{"alg":"HS256","kid":"../../../../dev/null"}"#, &claims()),
        token(r#"{"alg":"HS256","kid":"' OR 1=1 --"}"#, &claims()),
        token(
            r#"{"alg":"HS256","jku":"http://127.0.0.1:1/keys","x5u":"http://127.0.0.1:1/"}"#,
            &claims(),
        ),
    ];
    assert_decided(true, &tokens);
}

#[test]
fn other_algorithms_are_refused_even_with_a_valid_signature() {
    let spellings = [
        "none", "None", "NONE", "nOnE", " none", "none ", "", "HS256 ", "hs256", "hS256", "HS384",
        "RS256", "ES256", "PS256", "EdDSA",
    ];
    let other_types = [
        json!(null),
        json!(["HS256"]),
        json!({"HS256": 1}),
        json!(256),
    ];
    let algorithms = spellings.map(Value::from).into_iter().chain(other_types);
    let mut tokens = Vec::new();
    for algorithm in algorithms {
        let whole = token(
            &json!({"alg": algorithm, "typ": "JWT"}).to_string(),
            &claims(),
        );
        let (signed, _) = whole.rsplit_once('.').unwrap();
        tokens.extend([format!("{signed}."), signed.to_owned(), whole.clone()]);
    }
    for (name, algorithm) in [("HS384", Algorithm::HS384), ("HS512", Algorithm::HS512)] {
        let header = format!(r#"{{"alg":"{name}","typ":"JWT"}}"#);
        tokens.push(forge(&header, &claims(), algorithm, secret()));
    }
    assert_refused(&tokens);
}

#[test]
fn headers_that_are_no_header_of_a_token_are_refused() {
    let headers = [
        r#"{"typ":"JWT"}"#,
        "{}",
        "[]",
        r#"["HS256"]"#,
        "null",
        "",
        r#"{"alg":"HS256""#,
        r#"{"alg":"HS256","alg":"HS256"}"#,
        // RFC 7515, 4.1.11: an extension that must be understood.
        r#"{"alg":"HS256","crit":["b64"],"b64":false}"#,
        r#"{"alg":"HS256","crit":[]}"#,
        r#"{"alg":"HS256","crit":null}"#,
        r#"{"typ":"JWT","alg":"HS256","\u0063rit":null}"#,
    ];
    assert_refused(&headers.map(|header| token(header, &claims())));
}

#[test]
fn signatures_of_other_secrets_or_claims_are_refused() {
    let (signed, signature) = bench_token();
    let longer = format!("{}x", secret());
    let secrets = ["", "secret", &longer, &secret()[1..]];
    let mut tokens = secrets
        .map(|secret| forge(HEADER, &claims(), Algorithm::HS256, secret))
        .to_vec();
    let swapped = if signature.starts_with('A') { "B" } else { "A" };
    tokens.push(format!("{signed}.{swapped}{}", &signature[1..]));
    let other = token(HEADER, &claims_with(&json!({"sub": "another"})));
    let (other, _) = other.rsplit_once('.').unwrap();
    tokens.push(format!("{other}.{signature}"));
    let empty_file = r#"{"alg":"HS256","kid":"/dev/null"}"#;
    tokens.push(forge(empty_file, &claims(), Algorithm::HS256, ""));
    assert_refused(&tokens);
}

#[test]
fn invalid_claims_are_refused() {
    let now = now_secs();
    let mut tokens = Vec::new();
    for changes in [
        json!({"exp": now}),
        json!({"exp": now - 1}),
        json!({"exp": 0}),
        json!({"exp": -1}),
        json!({"nbf": now + 60}),
        json!({"nbf": now + 60, "exp": now + 120}),
    ] {
        tokens.push(token(HEADER, &claims_with(&changes)));
    }
    let no_numbers = [
        json!("9999999999"),
        json!(null),
        json!([]),
        json!({}),
        json!(true),
    ];
    for wrong in no_numbers {
        for claim in ["exp", "nbf", "iat"] {
            tokens.push(token(HEADER, &claims_with(&json!({ claim: wrong }))));
        }
    }
    for claim in ["sub", "name"] {
        for wrong in [json!(""), json!(null), json!(1), json!(["user-123"])] {
            tokens.push(token(HEADER, &claims_with(&json!({ claim: wrong }))));
        }
    }
    for claims in [
        r#"{"name":"n"}"#,
        r#"{"sub":"user-123"}"#,
        r#"["user-123","n"]"#,
        r#"["user-123","n",1,2,3]"#,
        r#""user-123""#,
        "null",
        "",
        r#"{"sub":"user-123","name":"n"}x"#,
        r#"{"sub":"\ud800","name":"n"}"#,
        "\u{feff}{\"sub\":\"user-123\",\"name\":\"n\"}",
        r#"{"sub":"user-123","name":"n","exp":1e400}"#,
        r#"{"sub":"user-123","sub":"user-123","name":"n"}"#,
        r#"{"sub":"someone","sub":"user-123","name":"n"}"#,
        r#"{"sub":"user-123","name":"n","name":"n"}"#,
        r#"{"sub":"user-123","name":"n","exp":1,"exp":99999999999}"#,
        r#"{"sub":"user-123","name":"n","nbf":99999999999,"nbf":1}"#,
    ] {
        tokens.push(token(HEADER, claims));
    }
    assert_refused(&tokens);
}

#[test]
fn base64_is_the_url_safe_one_without_padding_and_of_one_form() {
    let (signed, signature) = bench_token();
    // The last letter holds four bits of the signature and two that must be zero.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (stem, last) = signature.split_at(signature.len() - 1);
    let index = alphabet.find(last).unwrap();
    let mut tokens: Vec<_> = alphabet[index + 1..index + 4]
        .chars()
        .map(|letter| format!("{signed}.{stem}{letter}"))
        .collect();
    for other in [
        &format!("{signature}="),
        &format!("{signature}=="),
        &format!("{signature}A"),
        stem,
    ] {
        tokens.push(format!("{signed}.{other}"));
    }
    // A claim whose base64 has both letters in which the two alphabets differ.
    let header = URL_SAFE_NO_PAD.encode(HEADER);
    let claims = r#"{"sub":"??>>~~","name":"??>>~~"}"#;
    for claims in [
        URL_SAFE.encode(claims),
        STANDARD.encode(claims.to_owned() + "  "),
    ] {
        let signed = format!("{header}.{claims}");
        let signature = token::signature(&signed, Algorithm::HS256, secret());
        tokens.push(format!("{signed}.{signature}"));
    }
    assert_refused(&tokens);
}

#[test]
fn texts_that_are_no_token_are_refused() {
    let whole = token(HEADER, &claims());
    let (signed, _) = bench_token();
    let mut tokens = vec![
        signed.clone(),
        format!("{signed}."),
        format!("{whole}."),
        format!("{whole}.."),
        format!("{whole}.x"),
        format!("{whole} x"),
        format!(".{whole}"),
        whole.replacen('.', "..", 1),
        whole.replacen('.', ". ", 1),
        format!("{whole}\tx"),
        format!("{whole},"),
        format!("{whole}%20"),
        format!("\"{whole}\""),
    ];
    let short = ["x", ".", "..", "....", "a.b.c", "e30.e30.e30", "=.=.="];
    tokens.extend(short.map(str::to_owned));
    assert_refused(&tokens);
}

#[test]
fn token_is_checked_before_the_body() {
    each_profile(|profile| {
        let target = profile.start();
        for lines in [
            &[][..],
            &["content-type: text/plain"],
            &[JSON, "content-length: 1000"],
            &[JSON, "authorization: Bearer x"],
        ] {
            let answer = target.ask(request("POST", "/movies", lines, ""));
            assert_error(&answer, ErrorCode::InvalidToken);
        }
    });
}
