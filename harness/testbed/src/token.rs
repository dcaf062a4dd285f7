//! Tokens (RFC 7519) for the endpoints that require one, signed with an HMAC (RFC 7518, 3.2).

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::{Engine, encoded_len};
use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use schema::Claims;
use sha2::{Sha256, Sha384, Sha512};

/// The header of the public harness's tokens, byte for byte.
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// An algorithm of RFC 7518, section 3.2.
#[derive(Clone, Copy, Debug)]
pub enum Algorithm {
    /// HMAC with SHA-256, the algorithm of the contract.
    HS256,
    /// HMAC with SHA-384.
    HS384,
    /// HMAC with SHA-512.
    HS512,
}

/// Signs `claims` by HS256 with the raw bytes of `secret`; equal, byte for byte, to the token that the
/// public harness sends for the same claims.
#[must_use]
pub fn sign(claims: &Claims, secret: &str) -> String {
    let payload = serde_json::to_string(claims).expect("claims are plain JSON");
    forge(HEADER, &payload, Algorithm::HS256, secret)
}

/// Signs many tokens by HS256. The states of the hash after the two keys of the HMAC are computed
/// once (RFC 2104, section 4).
#[derive(Clone, Debug)]
pub struct Signer {
    keyed: Hmac<Sha256>,
    /// The encoded header and its dot.
    header: String,
}

impl Signer {
    /// Creates a signer with the raw bytes of `secret`.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        let keyed = KeyInit::new_from_slice(secret.as_bytes());
        Self {
            keyed: keyed.expect("an HMAC takes a key of any length"),
            header: URL_SAFE_NO_PAD.encode(HEADER) + ".",
        }
    }

    /// Appends the token with this payload to `bytes`.
    pub fn sign(&self, payload: &[u8], bytes: &mut Vec<u8>) {
        let start = bytes.len();
        bytes.extend_from_slice(self.header.as_bytes());
        encode(payload, bytes);
        let mac = self.keyed.clone().chain_update(&bytes[start..]).finalize();
        bytes.push(b'.');
        encode(&mac.into_bytes(), bytes);
    }
}

/// Appends the encoding of `part`.
fn encode(part: &[u8], bytes: &mut Vec<u8>) {
    let start = bytes.len();
    let length = encoded_len(part.len(), false).expect("a token fits into memory");
    bytes.resize(start + length, 0);
    let encoded = URL_SAFE_NO_PAD.encode_slice(part, &mut bytes[start..]);
    encoded.expect("the buffer has the encoded length");
}

/// Signs any header and payload, valid or not.
#[must_use]
pub fn forge(header: &str, payload: &str, algorithm: Algorithm, secret: &str) -> String {
    let [header, payload] = [header, payload].map(|part| URL_SAFE_NO_PAD.encode(part));
    let signed = format!("{header}.{payload}");
    let signature = signature(&signed, algorithm, secret);
    format!("{signed}.{signature}")
}

/// Returns the third part of the token whose first two parts are `signed`.
#[must_use]
pub fn signature(signed: &str, algorithm: Algorithm, secret: &str) -> String {
    match algorithm {
        Algorithm::HS256 => mac::<Hmac<Sha256>>(signed, secret),
        Algorithm::HS384 => mac::<Hmac<Sha384>>(signed, secret),
        Algorithm::HS512 => mac::<Hmac<Sha512>>(signed, secret),
    }
}

fn mac<M: Mac + KeyInit>(signed: &str, secret: &str) -> String {
    let mac = <M as KeyInit>::new_from_slice(secret.as_bytes());
    let mac = mac.expect("an HMAC takes a key of any length");
    URL_SAFE_NO_PAD.encode(mac.chain_update(signed).finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with `openssl dgst -sha256 -hmac secret -binary | base64`.
    #[test]
    fn claims_signed_by_hs256_equal_openssl_output() {
        let claims = schema::fixtures::claims();
        assert_eq!(
            sign(&claims, "secret"),
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9\
             .eyJzdWIiOiJ1c2VyLTEyMyIsIm5hbWUiOiJBZGEgTG92ZWxhY2UiLCJpYXQiOjE3MzU2ODk2MDB9\
             .AiMZnF7AP_RMIDM7Fz7dZTzikK8Z_DWXbJ1WmPo2bP4"
        );
        let mut signed = Vec::new();
        let payload = serde_json::to_vec(&claims).unwrap();
        Signer::new("secret").sign(&payload, &mut signed);
        assert_eq!(signed, sign(&claims, "secret").as_bytes());
    }

    /// Computed with `openssl dgst -sha384 -hmac secret` and `-sha512`.
    #[test]
    fn longer_hashes_equal_openssl_output() {
        for (algorithm, expected) in [
            (
                Algorithm::HS384,
                "h3Q8ogjsJJt48TXCs8GfvXsBYykwU6-b0OwCMAcOO5YjP1LhNU1_Z2Lnf492Xgy2",
            ),
            (
                Algorithm::HS512,
                "UkGznzdABE09dY43oQEfSPBndkyl33hI05Af09hPafjhuwndugH9umlSCGlwHBCltZYoqK8tKZ9SaI3SZWi15g",
            ),
        ] {
            assert_eq!(signature("a.b", algorithm, "secret"), expected);
        }
    }

    #[test]
    fn another_secret_gives_another_token() {
        let claims = schema::fixtures::claims();
        assert_ne!(sign(&claims, "one"), sign(&claims, "two"));
    }
}
