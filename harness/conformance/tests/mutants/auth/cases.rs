//! Tokens that a sloppy service accepts or a strict one refuses.

use crate::credentials::Credentials;

/// The name of a check's case, and the tokens of it that a mutant treats wrongly.
type Case = (&'static str, fn(&Credentials) -> bool);

/// The claims of k6's tokens, and those that are verified.
const CLAIMS: [&str; 5] = ["sub", "name", "iat", "exp", "nbf"];

/// Bad tokens that are refused at level `work`.
pub(super) const WORK: &[Case] = &[
    ("no-token", |sent| sent.values.is_empty()),
    // Anything with the dots of a token.
    ("garbage", |sent| {
        sent.parts.len() == 3 && sent.payload.get("sub").is_none() && !sent.is_signed()
    }),
    // A comparison that ends at the end of the shorter signature.
    ("bad-signature", |sent| {
        let right = sent.signature("");
        sent.names_hs256()
            && sent.parts.len() == 3
            && right != sent.parts[2]
            && right.starts_with(&sent.parts[2])
    }),
    // A secret that is cut to the length of the real one.
    ("other-secret", |sent| {
        sent.parts.len() == 3 && sent.parts[2] == sent.signature("x")
    }),
    ("alg-none", |sent| {
        let alg = sent.alg();
        alg.is_some_and(|alg| alg.eq_ignore_ascii_case("none"))
    }),
    // A day of leeway, but none for the last minute.
    ("expired", |sent| {
        let age = sent.number("exp").map(|exp| sent.now - exp);
        age.is_some_and(|age| (60.0..86_400.0).contains(&age))
    }),
];

/// Bad tokens that are refused at level `strict`.
pub(super) const STRICT: &[Case] = &[
    ("other-scheme", |sent| {
        !["", "bearer"].contains(&sent.scheme.as_str()) && sent.is_signed()
    }),
    ("no-scheme", |sent| {
        sent.scheme.is_empty() && sent.is_signed()
    }),
    ("empty-bearer", |sent| sent.values == ["Bearer"]),
    ("two-headers", |sent| sent.values.len() == 2),
    ("hs384", |sent| sent.alg() == Some("HS384")),
    ("hs512", |sent| sent.alg() == Some("HS512")),
    // The secret is taken for the bytes of a public key.
    ("asymmetric", |sent| {
        let alg = sent.alg().unwrap_or_default();
        let families = ["RS", "PS", "ES", "Ed"];
        families.iter().any(|family| alg.starts_with(family))
    }),
    ("no-alg", |sent| {
        let is_none = matches!(sent.alg(), None | Some("" | "hs256"));
        is_none && sent.header.is_object() && sent.is_signed()
    }),
    ("malformed", |sent| {
        let is_ours =
            sent.scheme == "bearer" && (sent.is_signed() || sent.payload.get("sub").is_some());
        let is_formed =
            sent.parts.len() == 3 && sent.header.is_object() && sent.payload.is_object();
        is_ours && (!is_formed || sent.parts[2].ends_with('='))
    }),
    ("just-expired", |sent| {
        let age = sent.number("exp").map(|exp| sent.now - exp);
        age.is_some_and(|age| (0.0..60.0).contains(&age))
    }),
    // Parsed as an unsigned integer, where zero means none.
    ("exp-long-past", |sent| {
        sent.number("exp").is_some_and(|exp| exp < 2.0)
    }),
    ("exp-type", |sent| sent.is_not_number("exp")),
    ("nbf-future", |sent| {
        sent.number("nbf").is_some_and(|nbf| nbf > sent.now)
    }),
    ("nbf-type", |sent| sent.is_not_number("nbf")),
    ("iat-type", |sent| sent.is_not_number("iat")),
    ("sub-missing", |sent| {
        sent.names_hs256()
            && sent.is_signed()
            && sent.payload.is_object()
            && sent.payload.get("sub").is_none()
    }),
    ("sub-empty", |sent| sent.text("sub") == Some("")),
    ("sub-type", |sent| sent.is_not_text("sub")),
    ("name-missing", |sent| {
        sent.claim("sub").is_some() && sent.claim("name").is_none()
    }),
    ("name-empty", |sent| sent.text("name") == Some("")),
    ("name-type", |sent| sent.is_not_text("name")),
];

/// Good tokens.
pub(super) const GOOD: &[Case] = &[
    // `Bearer ` is cut off literally.
    ("scheme-case", |sent| {
        let first = sent.values.first().map(String::as_str).unwrap_or_default();
        let token = first.strip_prefix("Bearer ");
        token.is_none_or(|token| token.starts_with(' '))
    }),
    ("exp-future", |sent| sent.number("exp").is_some()),
    ("nbf-past", |sent| sent.number("nbf").is_some()),
    // Issued in the future, or not at a whole second.
    ("iat", |sent| {
        let iat = sent.number("iat");
        iat.is_some_and(|iat| iat > sent.now || iat < 0.0 || iat.fract() != 0.0)
    }),
    ("other-claims", |sent| {
        let claims = sent.payload.as_object();
        let mut names = claims.into_iter().flat_map(|claims| claims.keys());
        names.any(|name| !CLAIMS.contains(&name.as_str())) || sent.header.get("typ").is_none()
    }),
    // Only ids of k6's form are accepted.
    ("sub-of-every-kind", |sent| {
        sent.text("sub").is_some_and(|sub| !sub.starts_with("user"))
    }),
];

/// Returns true for a token of the right form with a wrong signature.
pub(super) fn has_any_signature(sent: &Credentials) -> bool {
    let is_formed = sent.scheme == "bearer" && sent.names_hs256() && sent.parts.len() == 3;
    is_formed && sent.payload.get("sub").is_some() && !sent.is_signed()
}

/// Returns true for a token without the time of its issue.
pub(super) fn has_no_iat(sent: &Credentials) -> bool {
    sent.claim("sub").is_some() && sent.claim("iat").is_none()
}
