//! Kinds of good tokens that a strict service takes for bad ones.

use super::sent::Sent;

/// The name of a check's case, and the tokens of it that a mutant turns away.
pub(super) type Case = (&'static str, fn(&Sent) -> bool);

/// The claims that k6's tokens have, and those that are looked at.
const CLAIMS: [&str; 5] = ["sub", "name", "iat", "exp", "nbf"];

/// One of each case.
pub(super) const CASES: &[Case] = &[
    // `Bearer ` is cut off as it stands.
    ("scheme-case", |sent| {
        let first = sent.values.first().map(String::as_str).unwrap_or_default();
        first
            .strip_prefix("Bearer ")
            .is_none_or(|token| token.starts_with(' '))
    }),
    // No token without an end, or too far away.
    ("exp-to-come", |sent| sent.number("exp").is_some()),
    ("nbf-past", |sent| sent.number("nbf").is_some()),
    // Issued in the future, or at no whole second.
    ("iat", |sent| {
        let iat = sent.number("iat");
        iat.is_some_and(|iat| iat > sent.now || iat < 0.0 || iat.fract() != 0.0)
    }),
    ("other-claims", |sent| {
        let mut names = sent
            .claims
            .as_object()
            .into_iter()
            .flat_map(|claims| claims.keys());
        names.any(|name| !CLAIMS.contains(&name.as_str())) || sent.header.get("typ").is_none()
    }),
    // Ids of the form that k6 sends.
    ("sub-of-every-kind", |sent| {
        sent.text("sub").is_some_and(|sub| !sub.starts_with("user"))
    }),
];

/// A token that does not say when it was issued.
pub(super) fn has_no_iat(sent: &Sent) -> bool {
    sent.claim("sub").is_some() && sent.claim("iat").is_none()
}
