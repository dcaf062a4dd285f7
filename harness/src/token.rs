//! Tokens for the endpoints that ask for one.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use schema::Claims;

/// A token (RFC 7519) with these claims, signed by HS256 with the raw bytes of `secret`.
#[must_use]
pub fn sign(claims: &Claims, secret: &str) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key)
        .expect("claims are plain JSON and HS256 takes a key of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with `openssl dgst -sha256 -hmac secret -binary | base64`.
    #[test]
    fn a_token_is_signed_over_its_header_and_claims() {
        let claims = Claims {
            sub: "user-123".to_owned(),
            name: "Ada Lovelace".to_owned(),
            iat: Some(1_735_689_600.into()),
            exp: None,
            nbf: None,
        };
        assert_eq!(
            sign(&claims, "secret"),
            "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9\
             .eyJzdWIiOiJ1c2VyLTEyMyIsIm5hbWUiOiJBZGEgTG92ZWxhY2UiLCJpYXQiOjE3MzU2ODk2MDB9\
             .KzpgQ5HHspZxvE_LlrLNb9eVYVWMg3Mkw_R58iNVno8"
        );
    }

    #[test]
    fn another_secret_signs_otherwise() {
        let claims = schema::fixtures::claims();
        assert_ne!(sign(&claims, "one"), sign(&claims, "two"));
    }
}
