//! Tokens that are accepted.

use schema::Claims;
use serde_json::{Value, json};

use super::signer::{Bearer, HS256, Signer, now};
use crate::catalogue::AUTHENTICATION;
use crate::random;

/// A kind of good token.
#[derive(Clone, Copy)]
pub(super) struct Case {
    pub(super) name: &'static str,
    /// Describes the token at the end of a sentence.
    pub(super) token: &'static str,
    pub(super) source: &'static str,
    pub(super) bearers: fn(&Signer<'_>) -> Vec<Bearer>,
}

pub(super) fn cases() -> [Case; 6] {
    let case = |name, token, source, bearers| Case {
        name,
        token,
        source,
        bearers,
    };
    [
        case(
            "scheme-case",
            "the scheme in any case, followed by one or more spaces",
            "docs/CONTRACT.md#authentication; RFC 9110, 11.1",
            |signer| {
                let schemes = ["bearer ", "BEARER ", "bEaReR ", "Bearer   "];
                let claims = random::claims();
                let token = signer.sign(&claims);
                let bearers =
                    schemes.map(|scheme| Bearer::new(format!("{scheme}{token}"), &claims));
                bearers.into()
            },
        ),
        case(
            "exp-future",
            "an `exp` in the near or far future, or with a fraction",
            "docs/CONTRACT.md#authentication; RFC 7519, 4.1.4",
            |signer| {
                let far = [json!(9_999_999_999.5), json!(1e300)];
                let largest = [json!(i64::MAX), json!(u64::MAX)];
                let values = [json!(now() + 60)].into_iter().chain(far).chain(largest);
                with_claim(signer, "exp", values)
            },
        ),
        case(
            "nbf-past",
            "an `nbf` of this second, past or long past",
            "docs/CONTRACT.md#authentication; RFC 7519, 4.1.5",
            |signer| {
                let values = [
                    json!(now()),
                    json!(0),
                    json!(-1),
                    json!(i64::MIN),
                    json!(1.5),
                ];
                with_claim(signer, "nbf", values)
            },
        ),
        case(
            "iat",
            "a token without `iat`, and any number as one, because it is not enforced",
            AUTHENTICATION,
            |signer| {
                let claims = random::claims();
                let payload = json!({"sub": claims.sub, "name": claims.name});
                let token = signer.forge(HS256, &payload.to_string());
                let values = [json!(now() + 3600), json!(-1), json!(0.5)];
                let mut bearers = with_claim(signer, "iat", values);
                bearers.push(Bearer::new(format!("Bearer {token}"), &claims));
                bearers
            },
        ),
        case(
            "other-claims",
            "unknown claims and header fields, and a header without `typ`",
            "docs/CONTRACT.md#authentication; RFC 7519, 4",
            |signer| {
                let claims = random::claims();
                let payload = json!({
                    "aud": "someone", "iss": "somebody", "jti": "x", "roles": ["a"],
                    "sub": claims.sub, "name": claims.name, "iat": claims.iat,
                });
                let headers = [
                    r#"{"alg":"HS256"}"#,
                    r#"{"kid":"../../dev/null","jku":"http://127.0.0.1:1/","alg":"HS256"}"#,
                ];
                let bearers = headers.map(|header| {
                    let token = signer.forge(header, &payload.to_string());
                    Bearer::new(format!("Bearer {token}"), &claims)
                });
                bearers.into()
            },
        ),
        case(
            "sub-of-every-kind",
            "any text as `sub` that is not empty: one letter, 500, quotes, spaces, any script, digits",
            AUTHENTICATION,
            |signer| {
                let mark = fastrand::u32(..);
                let subs = [
                    char::from(fastrand::u8(b'a'..=b'z')).to_string(),
                    format!("{mark:0>500}"),
                    format!("o'neil\" OR 1=1; -- {mark}"),
                    format!(" {mark} "),
                    format!("Ада-愛-😀-{mark}"),
                    mark.to_string(),
                    format!("null{mark}"),
                ];
                let bearers = subs.map(|sub| {
                    let claims = random::claims();
                    let claims = Claims { sub, ..claims };
                    Bearer::new(format!("Bearer {}", signer.sign(&claims)), &claims)
                });
                bearers.into()
            },
        ),
    ]
}

fn with_claim(
    signer: &Signer<'_>,
    claim: &str,
    values: impl IntoIterator<Item = Value>,
) -> Vec<Bearer> {
    let values = values.into_iter();
    values
        .map(|value| signer.random_bearer(claim, &value))
        .collect()
}
