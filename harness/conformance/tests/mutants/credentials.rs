//! The credentials of a request, read without the target's code and without the checks'.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Request};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schema::{Claims, env};
use serde_json::Value;
use testbed::token::{self, Algorithm};

/// The `Authorization` headers of a request, and the token in the first.
pub(crate) struct Credentials {
    /// The values of the headers.
    pub(crate) values: Vec<String>,
    /// The scheme of the first header, in lower case.
    pub(crate) scheme: String,
    /// The parts of the token.
    pub(crate) parts: Vec<String>,
    /// The header of the token; `null` if it is not JSON.
    pub(crate) header: Value,
    /// The payload of the token, likewise.
    pub(crate) payload: Value,
    /// The time of the request, in seconds since the epoch.
    pub(crate) now: f64,
}

impl Credentials {
    pub(crate) fn of(request: &Request<Body>) -> Self {
        Self::read(request.headers())
    }

    pub(crate) fn read(headers: &HeaderMap) -> Self {
        let values = headers.get_all(AUTHORIZATION).into_iter();
        let values: Vec<_> = values
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        let first = values.first().map(String::as_str).unwrap_or_default();
        let (scheme, token) = first.split_once(' ').unwrap_or(("", first));
        let parts: Vec<_> = token.trim().split('.').map(str::to_owned).collect();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Self {
            scheme: scheme.to_lowercase(),
            header: decoded(parts.first()),
            payload: decoded(parts.get(1)),
            now: now.as_secs_f64(),
            parts,
            values,
        }
    }

    /// Computes the signature of the token with a suffix to the secret.
    pub(crate) fn signature(&self, suffix: &str) -> String {
        let signed = self.parts[..self.parts.len().min(2)].join(".");
        let secret = env::bench_value(&env::JWT_SECRET).to_owned() + suffix;
        token::signature(&signed, Algorithm::HS256, &secret)
    }

    /// Returns true if the token is signed by HS256 with the secret, whatever its header names.
    pub(crate) fn is_signed(&self) -> bool {
        self.parts.len() == 3 && self.parts[2] == self.signature("")
    }

    /// Returns true if there is one header with the Bearer scheme and a token of three parts.
    pub(crate) fn is_one_bearer(&self) -> bool {
        self.values.len() == 1 && self.scheme == "bearer" && self.parts.len() == 3
    }

    pub(crate) fn names_hs256(&self) -> bool {
        self.alg() == Some("HS256")
    }

    pub(crate) fn alg(&self) -> Option<&str> {
        self.header["alg"].as_str()
    }

    /// Returns a claim of a correctly signed token.
    pub(crate) fn claim(&self, name: &str) -> Option<&Value> {
        let claims = self.payload.as_object()?;
        let is_signed = self.names_hs256() && self.is_signed();
        claims.get(name).filter(|_| is_signed)
    }

    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.claim(name)?.as_f64()
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.claim(name)?.as_str()
    }

    pub(crate) fn is_not_number(&self, name: &str) -> bool {
        self.claim(name).is_some_and(|value| !value.is_number())
    }

    pub(crate) fn is_not_text(&self, name: &str) -> bool {
        self.claim(name).is_some_and(|value| !value.is_string())
    }

    /// Returns the claims of the token, verified or not.
    pub(crate) fn any_claims(&self) -> Option<Claims> {
        serde_json::from_value(self.payload.clone()).ok()
    }
}

fn decoded(part: Option<&String>) -> Value {
    let bytes = part.and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let value = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    value.unwrap_or_default()
}
