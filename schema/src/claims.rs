//! The claims of a token.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Number;

/// The claims the suite reads from a token (RFC 7519). `sub` and `name` are required and not
/// empty; `exp` and `nbf` are enforced when present, without leeway; others are ignored.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Claims {
    /// Subject: the user's id.
    pub sub: String,
    /// The user's display name.
    pub name: String,
    /// Issued at, seconds since the epoch. Not enforced, but a number when present.
    #[serde(
        default,
        deserialize_with = "number",
        skip_serializing_if = "Option::is_none"
    )]
    pub iat: Option<Number>,
    /// Expires at, seconds since the epoch.
    #[serde(
        default,
        deserialize_with = "number",
        skip_serializing_if = "Option::is_none"
    )]
    pub exp: Option<Number>,
    /// Not before, seconds since the epoch.
    #[serde(
        default,
        deserialize_with = "number",
        skip_serializing_if = "Option::is_none"
    )]
    pub nbf: Option<Number>,
}

impl Claims {
    /// Returns true if the claims name a user and `nbf <= now_secs < exp`, in seconds since the epoch
    /// (RFC 7519, 4.1.4: a token is refused "on or after" its expiration).
    #[must_use]
    pub fn are_valid_at(&self, now_secs: f64) -> bool {
        let exp = self.exp.as_ref().and_then(Number::as_f64);
        let nbf = self.nbf.as_ref().and_then(Number::as_f64);
        !self.sub.is_empty()
            && !self.name.is_empty()
            && exp.is_none_or(|exp| now_secs < exp)
            && nbf.is_none_or(|nbf| nbf <= now_secs)
    }
}

/// Deserializes a claim that is present: `null` is not the same as absent.
///
/// # Errors
/// The deserializer's own.
pub fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Number>, D::Error> {
    Number::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(json: &str) -> serde_json::Result<Claims> {
        serde_json::from_str(json)
    }

    #[test]
    fn exp_and_nbf_are_enforced_without_leeway() {
        let claims = claims(r#"{"sub":"a","name":"b","nbf":10,"exp":20.5}"#).unwrap();
        for (now_secs, valid) in [(9.9, false), (10.0, true), (20.4, true), (20.5, false)] {
            assert_eq!(claims.are_valid_at(now_secs), valid, "{now_secs}");
        }
    }

    #[test]
    fn negative_exp_and_empty_names_are_refused() {
        for json in [
            r#"{"sub":"a","name":"b","exp":-1}"#,
            r#"{"sub":"","name":"b"}"#,
            r#"{"sub":"a","name":""}"#,
        ] {
            assert!(!claims(json).unwrap().are_valid_at(0.0), "{json}");
        }
    }

    #[test]
    fn claims_of_another_type_are_refused() {
        for json in [
            r#"{"sub":1,"name":"b"}"#,
            r#"{"sub":"a"}"#,
            r#"{"sub":"a","name":"b","exp":"20"}"#,
            r#"{"sub":"a","name":"b","exp":null}"#,
            r#"{"sub":"a","name":"b","nbf":[]}"#,
            r#"{"sub":"a","name":"b","iat":true}"#,
        ] {
            assert!(claims(json).is_err(), "{json}");
        }
    }
}
