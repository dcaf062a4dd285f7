//! The bearer token of a request, verified before anything else of the request is read.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::FromRequestParts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use schema::Claims;
use schema::json::Object;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use crate::AppState;
use crate::error::Error;

/// Verifies tokens with jsonwebtoken.
pub struct Verifier {
    key: DecodingKey,
    validation: Validation,
}

impl Verifier {
    /// Creates a verifier for HS256 tokens signed with `secret`.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        // `exp` is optional. `Claims::are_valid_at` enforces it and `nbf`: jsonwebtoken rounds both to
        // seconds, accepts an `exp` of this second, and refuses a number outside of u64.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        // The contract ignores `aud`.
        validation.validate_aud = false;
        Self {
            key: DecodingKey::from_secret(secret.as_bytes()),
            validation,
        }
    }

    /// Returns the claims of a token that is signed with the secret and valid now.
    #[must_use]
    pub fn verify(&self, token: &str) -> Option<Claims> {
        let decoded = jsonwebtoken::decode(token, &self.key, &self.validation).ok()?;
        let Object(claims): Object<Claims> = decoded.claims;
        let valid = claims.are_valid_at(now_secs()) && !has_crit(token);
        valid.then_some(claims)
    }
}

/// Returns whether the header of a decoded token has `crit`, which lists extensions that must be
/// understood and none is (RFC 7515, 4.1.11). jsonwebtoken decodes `null`, which is invalid, as no `crit`.
fn has_crit(token: &str) -> bool {
    #[derive(Deserialize)]
    struct Header {
        #[serde(default, deserialize_with = "is_present")]
        crit: bool,
    }

    fn is_present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| true)
    }

    let (header, _) = token.split_once('.').unwrap_or_default();
    let header = URL_SAFE_NO_PAD.decode(header).unwrap_or_default();
    serde_json::from_slice(&header).is_ok_and(|header: Header| header.crit)
}

/// Returns the seconds since the epoch.
pub(crate) fn now_secs() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs_f64()
}

/// The claims of the sender; a request without a valid token is refused.
pub(crate) struct Authenticated(pub(crate) Claims);

impl FromRequestParts<AppState> for Authenticated {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Error> {
        state.authenticate(&parts.headers).map(Self)
    }
}
