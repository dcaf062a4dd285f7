//! What a token carries.

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
    /// Whether the claims name a user and hold at `now_secs` since the epoch: `nbf` has come and
    /// `exp` has not (RFC 7519, 4.1.4: "on or after" the expiration the token is refused).
    #[must_use]
    pub fn hold_at(&self, now_secs: f64) -> bool {
        let exp = self.exp.as_ref().and_then(Number::as_f64);
        let nbf = self.nbf.as_ref().and_then(Number::as_f64);
        !self.sub.is_empty()
            && !self.name.is_empty()
            && exp.is_none_or(|exp| now_secs < exp)
            && nbf.is_none_or(|nbf| nbf <= now_secs)
    }
}

/// A claim that is present must be a number: `null` is not the same as absent.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Number>, D::Error> {
    Number::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(json: &str) -> serde_json::Result<Claims> {
        serde_json::from_str(json)
    }

    #[test]
    fn exp_and_nbf_are_enforced_to_the_second_without_leeway() {
        let claims = claims(r#"{"sub":"a","name":"b","nbf":10,"exp":20.5}"#).unwrap();
        for (now_secs, holds) in [(9.9, false), (10.0, true), (20.4, true), (20.5, false)] {
            assert_eq!(claims.hold_at(now_secs), holds, "{now_secs}");
        }
    }

    #[test]
    fn a_negative_exp_is_long_past() {
        let claims = claims(r#"{"sub":"a","name":"b","exp":-1}"#).unwrap();
        assert!(!claims.hold_at(0.0));
    }

    #[test]
    fn sub_and_name_must_not_be_empty() {
        for json in [r#"{"sub":"","name":"b"}"#, r#"{"sub":"a","name":""}"#] {
            assert!(!claims(json).unwrap().hold_at(0.0), "{json}");
        }
    }

    #[test]
    fn claims_of_the_wrong_type_do_not_decode() {
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
