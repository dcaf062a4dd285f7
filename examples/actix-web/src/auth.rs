//! The bearer token of a request.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpRequest, web};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use crate::error::Error;

/// Verifies HS256 tokens.
pub struct Verifier {
    key: DecodingKey,
    validation: Validation,
}

impl Verifier {
    pub fn new(secret: &str) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.required_spec_claims.clear();
        validation.leeway = 0;
        validation.validate_nbf = true;
        validation.validate_aud = false;
        Self {
            key: DecodingKey::from_secret(secret.as_bytes()),
            validation,
        }
    }

    fn verify(&self, request: &HttpRequest) -> Option<Claims> {
        let mut headers = request.headers().get_all(AUTHORIZATION);
        let (Some(value), None) = (headers.next(), headers.next()) else {
            return None;
        };
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let token = token.trim_start_matches(' ');
        let token = jsonwebtoken::decode::<Claims>(token, &self.key, &self.validation).ok()?;
        let Claims { sub, name } = &token.claims;
        (!sub.is_empty() && !name.is_empty()).then_some(token.claims)
    }
}

/// The claims of the sender; a request without a valid token is refused.
#[derive(Deserialize)]
pub struct Claims {
    pub sub: String,
    pub name: String,
}

impl FromRequest for Claims {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let verifier = request.app_data::<web::Data<Verifier>>();
        let claims = verifier.and_then(|verifier| verifier.verify(request));
        ready(claims.ok_or(Error::InvalidToken))
    }
}
