//! `harness token`.

use std::process::{Command, Output};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schema::env::{JWT_SECRET, bench_value};
use schema::{Claims, fixtures};
use testbed::token::{Algorithm, signature};

fn token(arguments: &[&str], secret: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    command
        .arg("token")
        .args(arguments)
        .env_remove(JWT_SECRET.name);
    command.envs(secret.map(|secret| (JWT_SECRET.name, secret)));
    command.output().unwrap()
}

fn claims(arguments: &[&str], secret: Option<&str>) -> Claims {
    let output = token(arguments, secret);
    assert!(output.status.success(), "{output:?}");
    let secret = secret.unwrap_or(bench_value(&JWT_SECRET));
    let text = String::from_utf8(output.stdout).unwrap();
    let parts: Vec<_> = text.trim_end().split('.').collect();
    let signed = parts[..2].join(".");
    assert_eq!(parts[2], signature(&signed, Algorithm::HS256, secret));
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap()
}

#[test]
fn a_token_is_the_public_harness_s_by_default() {
    assert_eq!(claims(&[], None), fixtures::claims());
}

#[test]
fn a_token_is_for_whom_and_until_when_one_says() {
    let claims = claims(&["--sub", "user-7", "--name", "Grace", "--exp", "-5"], None);
    assert_eq!(
        (claims.sub.as_str(), claims.name.as_str()),
        ("user-7", "Grace")
    );
    assert_eq!(claims.exp, Some((-5).into()));
}

#[test]
fn a_token_is_signed_with_the_secret_of_the_environment() {
    assert_eq!(claims(&[], Some("another")), fixtures::claims());
}

#[test]
fn an_empty_secret_signs_nothing() {
    let output = token(&[], Some(""));
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        error,
        "harness: JWT_SECRET is empty: it must be a text that is not empty\n"
    );
}
