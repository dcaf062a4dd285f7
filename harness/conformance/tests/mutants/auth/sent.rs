//! What a request says about who sends it, read without the target's code and without the checks'.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::Request;
use axum::http::header::AUTHORIZATION;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schema::env;
use serde_json::Value;
use testbed::token::{self, Algorithm};

/// The `Authorization` headers of a request, and the token of the first, as far as there is one.
pub(super) struct Sent {
    /// The headers' values.
    pub(super) values: Vec<String>,
    /// What stands before the first space of the first, in lower case.
    pub(super) scheme: String,
    /// The token's parts.
    pub(super) parts: Vec<String>,
    /// Its first part; `null` if that is no JSON.
    pub(super) header: Value,
    /// Its second part, likewise.
    pub(super) claims: Value,
    /// When the request came, in seconds since the epoch.
    pub(super) now: f64,
}

impl Sent {
    pub(super) fn with(request: &Request<Body>) -> Self {
        let values = request.headers().get_all(AUTHORIZATION).into_iter();
        let values: Vec<_> = values
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        let first = values.first().map(String::as_str).unwrap_or_default();
        let (scheme, token) = first.split_once(' ').unwrap_or(("", first));
        let parts: Vec<_> = token.trim().split('.').map(str::to_owned).collect();
        Self {
            scheme: scheme.to_lowercase(),
            header: decoded(parts.first()),
            claims: decoded(parts.get(1)),
            now: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_secs_f64(),
            parts,
            values,
        }
    }

    /// The signature that this token has to have, with this added to the secret.
    pub(super) fn signature(&self, added: &str) -> String {
        let signed = self.parts[..self.parts.len().min(2)].join(".");
        let secret = env::bench_value(&env::JWT_SECRET).to_owned() + added;
        token::signature(&signed, Algorithm::HS256, &secret)
    }

    /// Whether it is signed by HS256 with the secret, whatever its header says.
    pub(super) fn is_signed(&self) -> bool {
        self.parts.len() == 3 && self.parts[2] == self.signature("")
    }

    /// Whether it says, rightly or not, that it is signed by HS256.
    pub(super) fn says_hs256(&self) -> bool {
        self.alg() == Some("HS256")
    }

    /// The algorithm that it names.
    pub(super) fn alg(&self) -> Option<&str> {
        self.header["alg"].as_str()
    }

    /// A claim of a token that is signed as it has to be.
    pub(super) fn claim(&self, name: &str) -> Option<&Value> {
        let claims = self.claims.as_object()?;
        let is_signed = self.says_hs256() && self.is_signed();
        claims.get(name).filter(|_| is_signed)
    }

    /// Such a claim, if it is a number.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.claim(name)?.as_f64()
    }

    /// Such a claim, if it is text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.claim(name)?.as_str()
    }

    /// Whether such a claim is there and no number.
    pub(super) fn is_no_number(&self, name: &str) -> bool {
        self.claim(name).is_some_and(|value| !value.is_number())
    }

    /// Whether such a claim is there and no text.
    pub(super) fn is_no_text(&self, name: &str) -> bool {
        self.claim(name).is_some_and(|value| !value.is_string())
    }
}

fn decoded(part: Option<&String>) -> Value {
    let bytes = part.and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let value = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    value.unwrap_or_default()
}
