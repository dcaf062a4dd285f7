//! The entry points of the fuzz targets. The test `harness/cli/tests/corpus.rs` calls them with every file of the
//! corpus, without a nightly compiler.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use schema::{NewMovie, Product, env, json};
use target_axum::{TunedVerifier, Verifier};
use testbed::token::{Algorithm, signature};

/// A target: its name, which is also the name of its corpus, and its entry point.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// All targets.
pub(crate) const ALL: [Target; 6] = [
    ("token", token),
    ("movie", movie),
    ("product", product),
    ("environment", environment),
    ("contenders", contenders),
    ("results", results),
];

/// Verifies the bytes as an `Authorization` header, as a token, and as the claims of a signed token. Both
/// profiles decide alike.
pub(crate) fn token(data: &[u8]) {
    let secret = "secret";
    let (idiomatic, tuned) = (Verifier::new(secret), TunedVerifier::new(secret));
    let verify = |token: &str| {
        let claims = idiomatic.verify(token);
        assert_eq!(claims, tuned.verify(token));
        claims
    };
    if let Ok(value) = HeaderValue::from_bytes(data) {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value);
        if let Some(token) = serve::bearer(&headers) {
            verify(token);
        }
    }
    if let Ok(text) = std::str::from_utf8(data) {
        verify(text);
    }
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(data));
    let signature = signature(&signed, Algorithm::HS256, secret);
    if let Some(claims) = verify(&format!("{signed}.{signature}")) {
        assert!(!claims.sub.is_empty() && !claims.name.is_empty());
    }
    let unsigned = verify(&format!("{signed}."));
    assert!(unsigned.is_none(), "accepted without a signature");
}

/// Decodes a body of `POST /movies`; an accepted one is encoded and decoded as the same movie.
pub(crate) fn movie(data: &[u8]) {
    if let Ok(movie) = json::from_slice::<NewMovie<'_>>(data) {
        let text = serde_json::to_string(&movie).expect("wire types are plain JSON");
        assert_eq!(json::from_slice(text.as_bytes()), Ok(movie));
    }
}

/// Decodes an answer of the upstream like [`movie`].
pub(crate) fn product(data: &[u8]) {
    if let Ok(product) = json::from_slice::<Product<'_>>(data) {
        let text = serde_json::to_string(&product).expect("wire types are plain JSON");
        assert_eq!(json::from_slice(text.as_bytes()), Ok(product));
    }
}

/// Reads the configurations from lines of `NAME=value` over the bench values; an error is one line.
pub(crate) fn environment(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let lookup = |name: &str| {
        let mut variables = text.lines().filter_map(|line| line.split_once('='));
        match variables.find(|(known, _)| *known == name) {
            Some((_, value)) => Some(value.into()),
            None => env::bench_lookup(name),
        }
    };
    let refused = [
        target_axum::Config::read(lookup).err(),
        upstream::Config::read(lookup).err(),
    ];
    for error in refused.into_iter().flatten() {
        assert!(!error.to_string().contains('\n'));
    }
}

/// Parses a `contenders.toml`.
pub(crate) fn contenders(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = testbed::contender::contenders_of(text, Path::new("/"));
    }
}

/// Parses a `results.jsonl`.
pub(crate) fn results(data: &[u8]) {
    let _ = load::results::parse(data);
}
