//! Who sends a request: the bearer token, verified before anything else is read.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::FromRequestParts;
use http::request::Parts;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use schema::json::Object;
use schema::{Claims, ErrorCode};

use crate::AppState;
use crate::error::Error;

/// Verifies tokens. Built once: the key's and the rules' set-up cost as much as a verification.
pub struct Verifier {
    key: DecodingKey,
    validation: Validation,
}

impl Verifier {
    /// Of tokens that are signed with this secret.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        // The library rounds `exp` and `nbf` and passes over negative ones: `Claims` enforces them.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        Self {
            key: DecodingKey::from_secret(secret.as_bytes()),
            validation,
        }
    }

    /// The claims of a token that is signed with the secret and holds now.
    #[must_use]
    pub fn verify(&self, token: &str) -> Option<Claims> {
        let Object(claims) = decode::<Object<Claims>>(token, &self.key, &self.validation)
            .ok()?
            .claims;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        claims.hold_at(now.as_secs_f64()).then_some(claims)
    }
}

/// The sender's claims; a request without a valid token is refused.
pub(crate) struct Authenticated(pub(crate) Claims);

impl FromRequestParts<Arc<AppState>> for Authenticated {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<AppState>) -> Result<Self, Error> {
        serve::bearer(&parts.headers)
            .and_then(|token| state.verifier.verify(token))
            .map(Self)
            .ok_or_else(|| ErrorCode::InvalidToken.into())
    }
}
