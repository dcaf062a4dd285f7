//! Kinds of bad tokens that a sloppy service takes for good ones.

use super::sent::Sent;

/// The name of a check's case, and the tokens of it that a mutant lets in.
pub(super) type Case = (&'static str, fn(&Sent) -> bool);

/// Those to be refused at level `work`.
pub(super) const WORK: &[Case] = &[
    ("no-token", |sent| sent.values.is_empty()),
    // Whatever has a token's dots.
    ("garbage", |sent| {
        sent.parts.len() == 3 && sent.claims.get("sub").is_none() && !sent.is_signed()
    }),
    // A comparison that ends where the shorter one ends.
    ("bad-signature", |sent| {
        let right = sent.signature("");
        sent.says_hs256()
            && sent.parts.len() == 3
            && right != sent.parts[2]
            && right.starts_with(&sent.parts[2])
    }),
    // A key that is cut to the length that its environment knows.
    ("other-secret", |sent| {
        sent.parts.len() == 3 && sent.parts[2] == sent.signature("x")
    }),
    ("alg-none", |sent| {
        sent.alg()
            .is_some_and(|alg| alg.eq_ignore_ascii_case("none"))
    }),
    // A day of leeway, but none for what expired just now.
    ("expired", |sent| {
        let age = sent.number("exp").map(|exp| sent.now - exp);
        age.is_some_and(|age| (60.0..86_400.0).contains(&age))
    }),
];

/// Those to be refused at level `strict`.
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
    // The secret is taken for a public key's bytes.
    ("asymmetric", |sent| {
        let alg = sent.alg().unwrap_or_default();
        ["RS", "PS", "ES", "Ed"]
            .iter()
            .any(|family| alg.starts_with(family))
    }),
    ("no-alg", |sent| {
        let is_none = matches!(sent.alg(), None | Some("" | "hs256"));
        is_none && sent.header.is_object() && sent.is_signed()
    }),
    ("malformed", |sent| {
        let is_ours =
            sent.scheme == "bearer" && (sent.is_signed() || sent.claims.get("sub").is_some());
        let is_formed = sent.parts.len() == 3 && sent.header.is_object() && sent.claims.is_object();
        is_ours && (!is_formed || sent.parts[2].ends_with('='))
    }),
    ("just-expired", |sent| {
        let age = sent.number("exp").map(|exp| sent.now - exp);
        age.is_some_and(|age| (0.0..60.0).contains(&age))
    }),
    // Read as an unsigned whole number of seconds, of which zero is none.
    ("exp-long-past", |sent| {
        sent.number("exp").is_some_and(|exp| exp < 2.0)
    }),
    ("exp-type", |sent| sent.is_no_number("exp")),
    ("nbf-to-come", |sent| {
        sent.number("nbf").is_some_and(|nbf| nbf > sent.now)
    }),
    ("nbf-type", |sent| sent.is_no_number("nbf")),
    ("iat-type", |sent| sent.is_no_number("iat")),
    ("sub-missing", |sent| {
        sent.says_hs256()
            && sent.is_signed()
            && sent.claims.is_object()
            && sent.claims.get("sub").is_none()
    }),
    ("sub-empty", |sent| sent.text("sub") == Some("")),
    ("sub-type", |sent| sent.is_no_text("sub")),
    ("name-missing", |sent| {
        sent.claim("sub").is_some() && sent.claim("name").is_none()
    }),
    ("name-empty", |sent| sent.text("name") == Some("")),
    ("name-type", |sent| sent.is_no_text("name")),
];

/// A token of the right form whose signature is not looked at.
pub(super) fn is_of_any_signature(sent: &Sent) -> bool {
    let is_formed = sent.scheme == "bearer" && sent.says_hs256() && sent.parts.len() == 3;
    is_formed && sent.claims.get("sub").is_some() && !sent.is_signed()
}
