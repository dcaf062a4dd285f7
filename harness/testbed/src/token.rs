//! Tokens for the endpoints that ask for one.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use schema::Claims;

/// The header of the public harness's tokens, byte for byte.
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// A token (RFC 7519) with these claims, signed by HS256 with the raw bytes of `secret`: for equal
/// claims, byte for byte what the public harness sends.
#[must_use]
pub fn sign(claims: &Claims, secret: &str) -> String {
    let payload = serde_json::to_string(claims).expect("claims are plain JSON");
    forge(HEADER, &payload, Algorithm::HS256, secret)
}

/// A token of this header and payload, whatever they say, signed by an HMAC algorithm.
pub fn forge(header: &str, payload: &str, algorithm: Algorithm, secret: &str) -> String {
    let [header, payload] = [header, payload].map(|part| URL_SAFE_NO_PAD.encode(part));
    let signed = format!("{header}.{payload}");
    let key = EncodingKey::from_secret(secret.as_bytes());
    let signature = crypto::sign(signed.as_bytes(), &key, algorithm)
        .expect("an HMAC takes a key of any length");
    format!("{signed}.{signature}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with `openssl dgst -sha256 -hmac secret -binary | base64`.
    #[test]
    fn a_token_is_signed_over_its_header_and_claims() {
        let claims = schema::fixtures::claims();
        assert_eq!(
            sign(&claims, "secret"),
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9\
             .eyJzdWIiOiJ1c2VyLTEyMyIsIm5hbWUiOiJBZGEgTG92ZWxhY2UiLCJpYXQiOjE3MzU2ODk2MDB9\
             .AiMZnF7AP_RMIDM7Fz7dZTzikK8Z_DWXbJ1WmPo2bP4"
        );
    }

    #[test]
    fn another_secret_signs_otherwise() {
        let claims = schema::fixtures::claims();
        assert_ne!(sign(&claims, "one"), sign(&claims, "two"));
    }
}
