//! Who sends a request: the bearer token, verified before anything else is read.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::FromRequestParts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use http::request::Parts;
use schema::json::Object;
use schema::{Claims, ErrorCode};
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::Sha256;

use crate::AppState;
use crate::error::Error;

/// The one algorithm that is accepted (RFC 7518, 3.2).
const ALGORITHM: &str = "HS256";

/// Longer than any signature that can be right: 32 bytes are 43 characters.
const SIGNATURE_MAX_CHARS: usize = 64;

/// Verifies tokens: a JWS in compact form (RFC 7515, 5.2) that carries claims.
///
/// Our own, because a library for every algorithm and claim reads header and claims twice and sets
/// the key up anew for each token, which costs more than the signature. The primitives are not.
pub struct Verifier {
    /// Keyed: what hashing the key costs is paid once.
    hmac: Hmac<Sha256>,
}

/// What a token's header says that matters here.
#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    alg: Cow<'a, str>,
    /// Extensions that must be understood; none is.
    crit: Option<IgnoredAny>,
}

impl Verifier {
    /// Of tokens that are signed with this secret.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        let hmac = Hmac::new_from_slice(secret.as_bytes());
        Self {
            hmac: hmac.expect("an HMAC takes a key of any length"),
        }
    }

    /// The claims of a token that is signed with the secret and holds now.
    #[must_use]
    pub fn verify(&self, token: &str) -> Option<Claims> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        self.verify_signature(signed, signature)?;

        let header = URL_SAFE_NO_PAD.decode(header).ok()?;
        let Object(header): Object<Header<'_>> = serde_json::from_slice(&header).ok()?;
        if header.alg != ALGORITHM || header.crit.is_some() {
            return None;
        }
        let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
        let Object(claims): Object<Claims> = serde_json::from_slice(&payload).ok()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        claims.hold_at(now.as_secs_f64()).then_some(claims)
    }

    fn verify_signature(&self, signed: &str, signature: &str) -> Option<()> {
        let mut decoded = [0; SIGNATURE_MAX_CHARS];
        let length = URL_SAFE_NO_PAD.decode_slice(signature, &mut decoded).ok()?;
        let hmac = self.hmac.clone().chain_update(signed);
        hmac.verify_slice(&decoded[..length]).ok()
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
