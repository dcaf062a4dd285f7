//! Tokens that must be accepted.

use serde_json::json;

use super::super::super::random;
use super::bad::{Signer, now};
use schema::{Claims, fixtures};

/// A request's header, and who it is from.
pub(super) struct Sent {
    pub(super) header: String,
    pub(super) sub: String,
    pub(super) name: String,
}

/// A kind of good token.
#[derive(Clone, Copy)]
pub(super) struct Case {
    pub(super) name: &'static str,
    /// What is accepted, as it ends a sentence.
    pub(super) what: &'static str,
    pub(super) source: &'static str,
    pub(super) make: fn(&Signer<'_>) -> Vec<Sent>,
}

pub(super) fn cases() -> [Case; 6] {
    let case = |name, what, source, make| Case {
        name,
        what,
        source,
        make,
    };
    [
        case(
            "scheme-case",
            "the scheme in any case, and more than one space behind it",
            "docs/CONTRACT.md#authentication; RFC 9110, 11.1",
            |signer| {
                let schemes = ["bearer ", "BEARER ", "bEaReR ", "Bearer   "];
                let claims = random::claims();
                let token = signer.sign(&claims);
                schemes
                    .map(|scheme| sent(format!("{scheme}{token}"), &claims))
                    .into()
            },
        ),
        case(
            "exp-to-come",
            "an `exp` that is to come, near, far, or with a fraction",
            "docs/CONTRACT.md#authentication; RFC 7519, 4.1.4",
            |signer| {
                let to_come = [
                    json!(now() + 60),
                    json!(9_999_999_999.5),
                    json!(i64::MAX),
                    json!(u64::MAX),
                    json!(1e300),
                ];
                to_come.map(|exp| with(signer, &json!({"exp": exp}))).into()
            },
        ),
        case(
            "nbf-past",
            "an `nbf` that is past, long past, or this second",
            "docs/CONTRACT.md#authentication; RFC 7519, 4.1.5",
            |signer| {
                let past = [
                    json!(now()),
                    json!(0),
                    json!(-1),
                    json!(i64::MIN),
                    json!(1.5),
                ];
                past.map(|nbf| with(signer, &json!({"nbf": nbf}))).into()
            },
        ),
        case(
            "iat",
            "a token without `iat`, and any number as one: it is not enforced",
            "docs/CONTRACT.md#authentication",
            |signer| {
                let Claims { sub, name, .. } = random::claims();
                let bare = json!({"sub": sub, "name": name}).to_string();
                let bare = signer.forge(r#"{"alg":"HS256","typ":"JWT"}"#, &bare);
                let any = [json!(now() + 3600), json!(-1), json!(0.5)];
                let mut all: Vec<_> = any.map(|iat| with(signer, &json!({"iat": iat}))).into();
                all.push(Sent {
                    header: format!("Bearer {bare}"),
                    sub,
                    name,
                });
                all
            },
        ),
        case(
            "other-claims",
            "claims and header fields that it does not know, and a header without `typ`",
            "docs/CONTRACT.md#authentication; RFC 7519, 4",
            |signer| {
                let Claims { sub, name, iat, .. } = random::claims();
                let payload = json!({
                    "aud": "someone", "iss": "somebody", "jti": "x", "roles": ["a"], "sub": sub, "name": name, "iat": iat,
                });
                let headers = [
                    r#"{"alg":"HS256"}"#,
                    r#"{"kid":"../../dev/null","jku":"http://127.0.0.1:1/","alg":"HS256"}"#,
                ];
                headers
                    .map(|header| Sent {
                        header: format!("Bearer {}", signer.forge(header, &payload.to_string())),
                        sub: sub.clone(),
                        name: name.clone(),
                    })
                    .into()
            },
        ),
        case(
            "sub-of-every-kind",
            "a `sub` of any text that is not empty: one letter, 500, quotes, spaces, any script, a number's digits",
            "docs/CONTRACT.md#authentication",
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
                subs.map(|sub| {
                    let claims = Claims {
                        sub,
                        ..random::claims()
                    };
                    sent(format!("Bearer {}", signer.sign(&claims)), &claims)
                })
                .into()
            },
        ),
    ]
}

fn sent(header: String, claims: &Claims) -> Sent {
    Sent {
        header,
        sub: claims.sub.clone(),
        name: claims.name.clone(),
    }
}

/// A user's token with one claim more, or another.
fn with(signer: &Signer<'_>, more: &serde_json::Value) -> Sent {
    let Claims { sub, name, .. } = random::claims();
    let mut claims = json!({"sub": sub, "name": name, "iat": fixtures::claims().iat});
    for (claim, value) in more.as_object().into_iter().flatten() {
        claims[claim] = value.clone();
    }
    Sent {
        header: format!("Bearer {}", signer.with(&claims)),
        sub,
        name,
    }
}
