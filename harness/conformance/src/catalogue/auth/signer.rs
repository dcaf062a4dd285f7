//! Tokens that are signed with the contender's secret.

use std::time::{SystemTime, UNIX_EPOCH};

use schema::{Claims, fixtures};
use serde_json::{Value, json};
use testbed::token::{self, Algorithm, forge};

use crate::{Subject, random};

/// The header of a good token.
pub(super) const HS256: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// The values of the `Authorization` headers of one request.
pub(super) type Headers = Vec<String>;

/// The `Authorization` header of a good token, and its user.
pub(super) struct Bearer {
    pub(super) header: String,
    pub(super) sub: String,
    pub(super) name: String,
}

impl Bearer {
    pub(super) fn new(header: String, claims: &Claims) -> Self {
        Self {
            header,
            sub: claims.sub.clone(),
            name: claims.name.clone(),
        }
    }
}

/// Creates tokens with the contender's secret.
pub(super) struct Signer<'a> {
    pub(super) secret: &'a str,
}

impl<'a> Signer<'a> {
    pub(super) fn of(subject: &'a Subject) -> Self {
        Self {
            secret: &subject.secrets.jwt_secret,
        }
    }

    /// Creates a good token.
    pub(super) fn sign(&self, claims: &Claims) -> String {
        token::sign(claims, self.secret)
    }

    /// Creates k6's token.
    pub(super) fn k6_token(&self) -> String {
        self.sign(&fixtures::claims())
    }

    /// Signs any header and payload.
    pub(super) fn forge(&self, header: &str, payload: &str) -> String {
        forge(header, payload, Algorithm::HS256, self.secret)
    }

    /// Signs k6's claims under any header.
    pub(super) fn with_header(&self, header: &str) -> String {
        self.forge(header, &k6_claims().to_string())
    }

    /// Signs k6's claims under a header that names this algorithm.
    pub(super) fn with_alg(&self, name: &str) -> String {
        self.with_header(&json!({"alg": name, "typ": "JWT"}).to_string())
    }

    /// Signs k6's claims with one added or changed.
    pub(super) fn with_claim(&self, claim: &str, value: &Value) -> String {
        let mut claims = k6_claims();
        claims[claim] = value.clone();
        self.forge(HS256, &claims.to_string())
    }

    /// Signs k6's claims without one of them.
    pub(super) fn without_claim(&self, claim: &str) -> String {
        let mut claims = k6_claims();
        if let Some(claims) = claims.as_object_mut() {
            claims.remove(claim);
        }
        self.forge(HS256, &claims.to_string())
    }

    /// Signs the claims of a random user with one added or changed.
    pub(super) fn random_bearer(&self, claim: &str, value: &Value) -> Bearer {
        let user = random::claims();
        let mut claims = json!({"sub": user.sub, "name": user.name, "iat": user.iat});
        claims[claim] = value.clone();
        let token = self.forge(HS256, &claims.to_string());
        Bearer::new(format!("Bearer {token}"), &user)
    }

    /// Returns header, payload and signature of a good token.
    pub(super) fn parts(&self) -> [String; 3] {
        let token = self.k6_token();
        let mut parts = token.split('.').map(str::to_owned);
        [(); 3].map(|()| parts.next().unwrap_or_default())
    }
}

pub(super) fn k6_claims() -> Value {
    super::value(&fixtures::claims())
}

/// Returns the time in seconds since the epoch.
pub(super) fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX))
}
