//! Tokens that are refused.

use serde_json::{Value, json};
use testbed::token::{self, Algorithm, forge};

use super::signer::{HS256, Headers, Signer, k6_claims, now};
use crate::catalogue::AUTHENTICATION;
use crate::random;

/// The case that a contender may declare.
pub(super) const EXPIRED: &str = "expired";

const SIGNATURE: &str = "docs/CONTRACT.md#authentication; RFC 7515, 5.2";
const ALGORITHM: &str = "docs/CONTRACT.md#authentication; RFC 8725, 3.1";
const SCHEME: &str = "docs/CONTRACT.md#authentication; RFC 6750, 2.1";
const TWO_HEADERS: &str = "docs/CONTRACT.md#authentication; RFC 9110, 11.6.2";
const NO_ALGORITHM: &str = "docs/CONTRACT.md#authentication; RFC 7515, 4.1.1";
const EXP: &str = "docs/CONTRACT.md#authentication; RFC 7519, 4.1.4";
const NBF: &str = "docs/CONTRACT.md#authentication; RFC 7519, 4.1.5";
const FORM: &str = "docs/CONTRACT.md#authentication; RFC 7519, 7.2";

/// Returns the headers of each request.
type MakeHeaders = Box<dyn Fn(&Signer<'_>) -> Vec<Headers> + Send + Sync>;

/// A kind of bad token.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// Describes the token after the name of an endpoint.
    pub(super) token: &'static str,
    pub(super) source: &'static str,
    /// True if level `work` requires a refusal.
    pub(super) is_work: bool,
    pub(super) headers: MakeHeaders,
}

/// Creates a case with any headers.
fn headers(
    name: &'static str,
    token: &'static str,
    source: &'static str,
    headers: impl Fn(&Signer<'_>) -> Vec<Headers> + Send + Sync + 'static,
) -> Case {
    Case {
        name,
        token,
        source,
        is_work: false,
        headers: Box::new(headers),
    }
}

/// Creates a case with tokens under the Bearer scheme.
fn tokens(
    name: &'static str,
    token: &'static str,
    source: &'static str,
    tokens: fn(&Signer<'_>) -> Vec<String>,
) -> Case {
    headers(name, token, source, move |signer| {
        let tokens = tokens(signer).into_iter();
        tokens
            .map(|token| vec![format!("Bearer {token}")])
            .collect()
    })
}

/// Creates a case with correctly signed tokens that have these values of a claim.
fn claim(
    name: &'static str,
    token: &'static str,
    source: &'static str,
    claim: &'static str,
    values: fn() -> Vec<Value>,
) -> Case {
    headers(name, token, source, move |signer| {
        let tokens = values()
            .into_iter()
            .map(|value| signer.with_claim(claim, &value));
        tokens
            .map(|token| vec![format!("Bearer {token}")])
            .collect()
    })
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = work();
    for case in &mut cases {
        case.is_work = true;
    }
    cases.extend(schemes());
    cases.extend(forms());
    cases.extend(claims());
    cases
}

fn work() -> Vec<Case> {
    vec![
        headers("no-token", "without a token", AUTHENTICATION, |_| {
            vec![vec![]]
        }),
        tokens("garbage", "with text that is not a token", FORM, |_| {
            let texts = ["garbage", "a.b.c", "..", "e30.e30.e30", "%00", "null"];
            texts.map(str::to_owned).into()
        }),
        tokens(
            "bad-signature",
            "with a token whose signature is wrong",
            SIGNATURE,
            |signer| {
                let [header, payload, signature] = signer.parts();
                let other = signer.sign(&random::claims());
                let (unsigned, other) = other.rsplit_once('.').unwrap_or_default();
                let first = if signature.starts_with('A') { 'B' } else { 'A' };
                vec![
                    format!("{header}.{payload}.{first}{}", &signature[1..]),
                    format!("{header}.{payload}.{other}"),
                    // The signature of a token that was accepted before.
                    format!("{unsigned}.{signature}"),
                    format!("{header}.{payload}.{}", &signature[..20]),
                    format!("{header}.{payload}."),
                ]
            },
        ),
        tokens(
            "other-secret",
            "with a token that is signed with another secret",
            SIGNATURE,
            |signer| {
                let other = format!("{:032x}", fastrand::u128(..));
                let longer = format!("{}x", signer.secret);
                let claims = schema::fixtures::claims();
                [other, longer]
                    .map(|secret| token::sign(&claims, &secret))
                    .into()
            },
        ),
        tokens(
            "alg-none",
            "with a token whose header says that it needs no signature",
            ALGORITHM,
            |signer| {
                let mut tokens = Vec::new();
                for name in ["none", "None", "NONE", "nOnE"] {
                    let signed = signer.with_alg(name);
                    let unsigned = signed.rsplit_once('.').unwrap_or_default().0;
                    tokens.push(format!("{unsigned}."));
                    tokens.push(signed);
                }
                tokens
            },
        ),
        claim(
            EXPIRED,
            "with a token that expired an hour ago",
            EXP,
            "exp",
            || vec![json!(now() - 3600)],
        ),
    ]
}

fn schemes() -> Vec<Case> {
    vec![
        headers(
            "other-scheme",
            "with a good token under another scheme",
            SCHEME,
            |signer| {
                let schemes = ["Basic", "Token", "Bearerx", "JWT"];
                let token = signer.k6_token();
                schemes
                    .map(|scheme| vec![format!("{scheme} {token}")])
                    .into()
            },
        ),
        headers(
            "no-scheme",
            "with a good token and no scheme",
            SCHEME,
            |signer| vec![vec![signer.k6_token()]],
        ),
        headers("empty-bearer", "with `Bearer` and no token", SCHEME, |_| {
            vec![vec!["Bearer".to_owned()]]
        }),
        headers(
            "two-headers",
            "with two good `Authorization` headers",
            TWO_HEADERS,
            |signer| vec![vec![format!("Bearer {}", signer.k6_token()); 2]],
        ),
    ]
}

fn forms() -> Vec<Case> {
    vec![
        tokens(
            "hs384",
            "with a token that is signed by HS384 with the right secret",
            ALGORITHM,
            |signer| vec![hmac(signer, "HS384", Algorithm::HS384)],
        ),
        tokens(
            "hs512",
            "with a token that is signed by HS512 with the right secret",
            ALGORITHM,
            |signer| vec![hmac(signer, "HS512", Algorithm::HS512)],
        ),
        tokens(
            "asymmetric",
            "with a token that names a public-key algorithm and is signed with the secret",
            ALGORITHM,
            |signer| {
                let names = ["RS256", "RS512", "PS256", "ES256", "EdDSA"];
                names.map(|name| signer.with_alg(name)).into()
            },
        ),
        tokens(
            "no-alg",
            "with a token that names no algorithm, or an unknown one",
            NO_ALGORITHM,
            |signer| {
                let headers = [
                    r#"{"typ":"JWT"}"#,
                    r#"{"alg":"hs256"}"#,
                    r#"{"alg":256}"#,
                    r#"{"alg":null}"#,
                    r#"{"alg":""}"#,
                ];
                headers.map(|header| signer.with_header(header)).into()
            },
        ),
        tokens(
            "malformed",
            "with a token that has too few, too many or malformed parts",
            FORM,
            |signer| {
                let [header, payload, signature] = signer.parts();
                vec![
                    format!("{header}.{payload}"),
                    format!("{header}.{payload}.{signature}.{signature}"),
                    format!("{header}.{payload}.{signature}."),
                    format!("{header}.{payload}.{signature}="),
                    format!("{header}=.{payload}.{signature}"),
                    signer.with_header("HS256"),
                    signer.forge(HS256, "no JSON"),
                    signer.forge(HS256, "[]"),
                    signer.forge(HS256, r#"["user-123","Ada Lovelace"]"#),
                    signer.forge(HS256, ""),
                ]
            },
        ),
    ]
}

fn claims() -> Vec<Case> {
    vec![
        claim(
            "just-expired",
            "with a token that expired this second, as there is no leeway,",
            EXP,
            "exp",
            || vec![json!(now()), json!(now() - 1)],
        ),
        claim(
            "exp-long-past",
            "with an `exp` of zero, below zero or with a fraction, long past,",
            EXP,
            "exp",
            || {
                let minimum = json!(i64::MIN);
                vec![json!(0), json!(-1), minimum, json!(1.5), json!(-1e300)]
            },
        ),
        claim(
            "exp-type",
            "with an `exp` that is not a number",
            EXP,
            "exp",
            || not_numbers(now() + 3600),
        ),
        claim(
            "nbf-future",
            "with an `nbf` half a minute away, as there is no leeway,",
            NBF,
            "nbf",
            || vec![json!(now() + 30), json!(i64::MAX), json!(1e300)],
        ),
        claim(
            "nbf-type",
            "with an `nbf` that is not a number",
            NBF,
            "nbf",
            || not_numbers(0),
        ),
        claim(
            "iat-type",
            "with an `iat` that is not a number",
            AUTHENTICATION,
            "iat",
            || not_numbers(0),
        ),
        tokens(
            "sub-missing",
            "with a token without `sub`",
            AUTHENTICATION,
            |signer| vec![signer.without_claim("sub"), signer.forge(HS256, "{}")],
        ),
        claim(
            "sub-empty",
            "with an empty `sub`",
            AUTHENTICATION,
            "sub",
            || vec![json!("")],
        ),
        claim(
            "sub-type",
            "with a `sub` that is not text",
            AUTHENTICATION,
            "sub",
            not_texts,
        ),
        tokens(
            "name-missing",
            "with a token without `name`",
            AUTHENTICATION,
            |signer| vec![signer.without_claim("name")],
        ),
        claim(
            "name-empty",
            "with an empty `name`",
            AUTHENTICATION,
            "name",
            || vec![json!("")],
        ),
        claim(
            "name-type",
            "with a `name` that is not text",
            AUTHENTICATION,
            "name",
            not_texts,
        ),
    ]
}

fn hmac(signer: &Signer<'_>, name: &str, algorithm: Algorithm) -> String {
    let header = json!({"alg": name, "typ": "JWT"}).to_string();
    forge(&header, &k6_claims().to_string(), algorithm, signer.secret)
}

fn not_numbers(number: i64) -> Vec<Value> {
    let text = json!(number.to_string());
    vec![text, Value::Null, json!(true), json!([number]), json!({})]
}

fn not_texts() -> Vec<Value> {
    vec![
        json!(123),
        Value::Null,
        json!(true),
        json!(["user-123"]),
        json!({}),
    ]
}
