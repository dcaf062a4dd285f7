//! Tokens that must be refused.

use std::time::{SystemTime, UNIX_EPOCH};

use schema::{Claims, fixtures};
use serde_json::{Value, json};

use super::super::super::{Subject, random};
use testbed::token::{self, Algorithm, forge};

/// The case that a contender may declare away.
pub(super) const EXPIRED: &str = "expired";

const AUTHENTICATION: &str = "docs/CONTRACT.md#authentication";
const SIGNATURE: &str = "docs/CONTRACT.md#authentication; RFC 7515, 5.2";
const ALGORITHM: &str = "docs/CONTRACT.md#authentication; RFC 8725, 3.1";
const SCHEME: &str = "docs/CONTRACT.md#authentication; RFC 6750, 2.1";
const EXP: &str = "docs/CONTRACT.md#authentication; RFC 7519, 4.1.4";
const NBF: &str = "docs/CONTRACT.md#authentication; RFC 7519, 4.1.5";
const FORM: &str = "docs/CONTRACT.md#authentication; RFC 7519, 7.2";

/// Header of a good token.
const HS256: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// Makes tokens with the contender's secret.
pub(super) struct Signer<'a> {
    secret: &'a str,
}

impl<'a> Signer<'a> {
    pub(super) fn of(subject: &'a Subject) -> Self {
        Self {
            secret: &subject.secrets.jwt_secret,
        }
    }

    /// A good token.
    pub(super) fn sign(&self, claims: &Claims) -> String {
        token::sign(claims, self.secret)
    }

    /// A signed token of this header and payload.
    pub(super) fn forge(&self, header: &str, payload: &str) -> String {
        forge(header, payload, Algorithm::HS256, self.secret)
    }

    /// A signed token of k6's claims and these.
    pub(super) fn with(&self, more: &Value) -> String {
        self.forge(HS256, &merged(more).to_string())
    }

    fn good(&self) -> String {
        self.sign(&fixtures::claims())
    }

    /// Header, payload and signature of a good token.
    fn parts(&self) -> [String; 3] {
        let good = self.good();
        let mut parts = good.split('.').map(str::to_owned);
        [(); 3].map(|()| parts.next().unwrap_or_default())
    }
}

/// k6's claims and these; `null` takes one away.
fn merged(more: &Value) -> Value {
    let mut claims = serde_json::to_value(fixtures::claims()).unwrap_or_default();
    for (name, value) in more.as_object().into_iter().flatten() {
        claims[name] = value.clone();
    }
    claims
}

fn without(claim: &str) -> String {
    let mut claims = merged(&Value::Null);
    claims.as_object_mut().map(|claims| claims.remove(claim));
    claims.to_string()
}

/// Seconds since the epoch.
pub(super) fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX))
}

/// A kind of bad token.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// What is wrong with it, as it follows the name of an endpoint.
    pub(super) what: &'static str,
    pub(super) source: &'static str,
    /// Whether to be refused at all is asked for at `work`.
    pub(super) work: bool,
    /// The values of the `Authorization` headers of each request.
    pub(super) make: fn(&Signer<'_>) -> Vec<Vec<String>>,
}

pub(super) fn cases() -> impl Iterator<Item = Case> {
    let case = |name, what, source, make| Case {
        name,
        what,
        source,
        work: false,
        make,
    };
    let work = |case| Case { work: true, ..case };
    [
        work(case("no-token", "without a token", AUTHENTICATION, |_| {
            vec![vec![]]
        })),
        work(case("garbage", "with what is no token", FORM, |_| {
            bearers(["garbage", "a.b.c", "..", "e30.e30.e30", "%00", "null"].map(str::to_owned))
        })),
        work(case(
            "bad-signature",
            "with a token whose signature is not its own",
            SIGNATURE,
            |signer| {
                let [header, payload, signature] = signer.parts();
                let other = signer.sign(&random::claims());
                let others = other.rsplit('.').next().unwrap_or_default();
                let first = if signature.starts_with('A') { 'B' } else { 'A' };
                bearers([
                    format!("{header}.{payload}.{first}{}", &signature[1..]),
                    format!("{header}.{payload}.{others}"),
                    format!("{header}.{payload}.{}", &signature[..20]),
                    format!("{header}.{payload}."),
                ])
            },
        )),
        work(case(
            "other-secret",
            "with a token that another secret signed",
            SIGNATURE,
            |signer| {
                let other = format!("{:032x}", fastrand::u128(..));
                let longer = format!("{}x", signer.secret);
                bearers([other, longer].map(|secret| token::sign(&fixtures::claims(), &secret)))
            },
        )),
        work(case(
            "alg-none",
            "with a token that says that it needs no signature",
            ALGORITHM,
            |signer| {
                let spellings = ["none", "None", "NONE", "nOnE"];
                bearers(spellings.into_iter().flat_map(|name| {
                    let header = json!({"alg": name, "typ": "JWT"}).to_string();
                    let signed = signer.forge(&header, &merged(&Value::Null).to_string());
                    let unsigned = signed
                        .rsplit_once('.')
                        .map(|(signed, _)| format!("{signed}."));
                    [Some(signed), unsigned].into_iter().flatten()
                }))
            },
        )),
        work(case(
            EXPIRED,
            "with a token that expired an hour ago",
            EXP,
            |signer| bearers([signer.with(&json!({"exp": now() - 3600}))]),
        )),
        case(
            "other-scheme",
            "with a good token under another scheme",
            SCHEME,
            |signer| {
                let good = signer.good();
                ["Basic", "Token", "Bearerx", "JWT"]
                    .map(|scheme| vec![format!("{scheme} {good}")])
                    .into()
            },
        ),
        case(
            "no-scheme",
            "with a good token and no scheme",
            SCHEME,
            |signer| vec![vec![signer.good()]],
        ),
        case(
            "empty-bearer",
            "with `Bearer` and nothing behind it",
            SCHEME,
            |_| vec![vec!["Bearer".to_owned()]],
        ),
        case(
            "two-headers",
            "with two good `Authorization` headers",
            "docs/CONTRACT.md#authentication; RFC 9110, 11.6.2",
            |signer| {
                let good = format!("Bearer {}", signer.good());
                vec![vec![good.clone(), good]]
            },
        ),
        case(
            "hs384",
            "with a token signed by HS384 with the right secret",
            ALGORITHM,
            |signer| bearers([hmac(signer, "HS384", Algorithm::HS384)]),
        ),
        case(
            "hs512",
            "with a token signed by HS512 with the right secret",
            ALGORITHM,
            |signer| bearers([hmac(signer, "HS512", Algorithm::HS512)]),
        ),
        case(
            "asymmetric",
            "with a token that names a public-key algorithm and is signed with the secret",
            ALGORITHM,
            |signer| {
                let names = ["RS256", "RS512", "PS256", "ES256", "EdDSA"];
                bearers(names.map(|name| {
                    let header = json!({"alg": name, "typ": "JWT"}).to_string();
                    signer.forge(&header, &merged(&Value::Null).to_string())
                }))
            },
        ),
        case(
            "no-alg",
            "with a token that names no algorithm, or none that exists",
            "docs/CONTRACT.md#authentication; RFC 7515, 4.1.1",
            |signer| {
                let headers = [
                    r#"{"typ":"JWT"}"#,
                    r#"{"alg":"hs256"}"#,
                    r#"{"alg":256}"#,
                    r#"{"alg":null}"#,
                    r#"{"alg":""}"#,
                ];
                bearers(
                    headers.map(|header| signer.forge(header, &merged(&Value::Null).to_string())),
                )
            },
        ),
        case(
            "malformed",
            "with a token of other parts, or parts of another form",
            FORM,
            |signer| {
                let [header, payload, signature] = signer.parts();
                bearers([
                    format!("{header}.{payload}"),
                    format!("{header}.{payload}.{signature}.{signature}"),
                    format!("{header}.{payload}.{signature}."),
                    format!("{header}.{payload}.{signature}="),
                    format!("{header}=.{payload}.{signature}"),
                    signer.forge("HS256", &merged(&Value::Null).to_string()),
                    signer.forge(HS256, "no JSON"),
                    signer.forge(HS256, "[]"),
                    signer.forge(HS256, r#"["user-123","Ada Lovelace"]"#),
                    signer.forge(HS256, ""),
                ])
            },
        ),
        case(
            "just-expired",
            "with a token that expired this second: there is no leeway",
            EXP,
            |signer| bearers([now(), now() - 1].map(|exp| signer.with(&json!({"exp": exp})))),
        ),
        case(
            "exp-long-past",
            "with an `exp` of zero, below zero or with a fraction, long past",
            EXP,
            |signer| {
                let long_past = [
                    json!(0),
                    json!(-1),
                    json!(i64::MIN),
                    json!(1.5),
                    json!(-1e300),
                ];
                bearers(long_past.map(|exp| signer.with(&json!({"exp": exp}))))
            },
        ),
        case(
            "exp-type",
            "with an `exp` that is no number",
            EXP,
            |signer| {
                bearers(no_numbers(&(now() + 3600)).map(|exp| signer.with(&json!({"exp": exp}))))
            },
        ),
        case(
            "nbf-to-come",
            "with an `nbf` half a minute away: there is no leeway",
            NBF,
            |signer| {
                let to_come = [json!(now() + 30), json!(i64::MAX), json!(1e300)];
                bearers(to_come.map(|nbf| signer.with(&json!({"nbf": nbf}))))
            },
        ),
        case(
            "nbf-type",
            "with an `nbf` that is no number",
            NBF,
            |signer| bearers(no_numbers(&0).map(|nbf| signer.with(&json!({"nbf": nbf})))),
        ),
        case(
            "iat-type",
            "with an `iat` that is no number",
            AUTHENTICATION,
            |signer| bearers(no_numbers(&0).map(|iat| signer.with(&json!({"iat": iat})))),
        ),
        case(
            "sub-missing",
            "with a token without `sub`",
            AUTHENTICATION,
            |signer| {
                bearers([
                    signer.forge(HS256, &without("sub")),
                    signer.forge(HS256, "{}"),
                ])
            },
        ),
        case(
            "sub-empty",
            "with an empty `sub`",
            AUTHENTICATION,
            |signer| bearers([signer.with(&json!({"sub": ""}))]),
        ),
        case(
            "sub-type",
            "with a `sub` that is no text",
            AUTHENTICATION,
            |signer| bearers(no_texts().map(|sub| signer.with(&json!({"sub": sub})))),
        ),
        case(
            "name-missing",
            "with a token without `name`",
            AUTHENTICATION,
            |signer| bearers([signer.forge(HS256, &without("name"))]),
        ),
        case(
            "name-empty",
            "with an empty `name`",
            AUTHENTICATION,
            |signer| bearers([signer.with(&json!({"name": ""}))]),
        ),
        case(
            "name-type",
            "with a `name` that is no text",
            AUTHENTICATION,
            |signer| bearers(no_texts().map(|name| signer.with(&json!({"name": name})))),
        ),
    ]
    .into_iter()
}

fn bearers(tokens: impl IntoIterator<Item = String>) -> Vec<Vec<String>> {
    let headers = tokens
        .into_iter()
        .map(|token| vec![format!("Bearer {token}")]);
    headers.collect()
}

fn hmac(signer: &Signer<'_>, name: &str, algorithm: Algorithm) -> String {
    let header = json!({"alg": name, "typ": "JWT"}).to_string();
    forge(
        &header,
        &merged(&Value::Null).to_string(),
        algorithm,
        signer.secret,
    )
}

fn no_numbers(number: &i64) -> [Value; 5] {
    [
        json!(number.to_string()),
        Value::Null,
        json!(true),
        json!([number]),
        json!({}),
    ]
}

fn no_texts() -> [Value; 5] {
    [
        json!(123),
        Value::Null,
        json!(true),
        json!(["user-123"]),
        json!({}),
    ]
}
