//! Mutants that take a body that is malformed or does not fit, or refuse it otherwise.

use schema::limits::REQUEST_BODY_MAX_BYTES;
use schema::{ErrorCode, NewMovie};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::post::{forgives, forgives_text, says};
use crate::server::Mutant;

pub(super) fn mutants() -> Vec<Mutant> {
    let mut mutants = malformed();
    mutants.extend(unfit());
    mutants
}

fn malformed() -> Vec<Mutant> {
    vec![
        forgives_text("a-comma-may-come-last", &["movies/400-syntax"], |text| {
            Some(text.replace(",}", "}"))
        }),
        forgives_text(
            "a-byte-order-mark-is-skipped",
            &["movies/400-syntax"],
            |text| text.strip_prefix('\u{feff}').map(str::to_owned),
        ),
        forgives_text(
            "an-empty-body-is-an-empty-object",
            &["movies/400-empty"],
            |text| text.trim().is_empty().then(|| "{}".to_owned()),
        ),
        forgives(
            "invalid-utf8-is-replaced",
            &["movies/400-invalid-utf8"],
            |post| {
                *post.body_mut() = String::from_utf8_lossy(post.body()).into_owned().into();
            },
        ),
        forgives_text(
            "only-the-first-value-is-read",
            &["movies/400-trailing-data"],
            |text| {
                let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
                values.next()?.ok()?;
                Some(text[..values.byte_offset()].to_owned())
            },
        ),
        forgives_text("nesting-has-no-limit", &["movies/400-too-deep"], |text| {
            text.contains("[[")
                .then(|| decoded_plainly(text.as_bytes()))?
        }),
        forgives(
            "bodies-are-decoded-plainly",
            &[
                "movies/400-too-deep",
                "movies/400-invalid-utf8",
                "movies/422-no-object",
            ],
            |post| {
                if let Some(text) = decoded_plainly(post.body()) {
                    *post.body_mut() = text.into();
                }
            },
        ),
    ]
}

/// A movie as serde alone decodes it: an array is an object, what is ignored is hardly looked at.
fn decoded_plainly(text: &[u8]) -> Option<String> {
    let within = (text.len() <= REQUEST_BODY_MAX_BYTES).then_some(text)?;
    let movie: NewMovie<'_> = serde_json::from_slice(within).ok()?;
    serde_json::to_string(&movie).ok()
}

fn unfit() -> Vec<Mutant> {
    vec![
        forgives_text(
            "missing-fields-are-zero",
            &["movies/422-missing-field"],
            |text| {
                with_fields(text, |fields| {
                    for (name, zero) in zeros() {
                        fields.entry(name).or_insert(zero);
                    }
                })
            },
        ),
        forgives_text("null-is-zero", &["movies/422-wrong-type"], |text| {
            with_fields(text, |fields| {
                for (name, zero) in zeros() {
                    if fields.get(name) == Some(&Value::Null) {
                        fields.insert(name.to_owned(), zero);
                    }
                }
            })
        }),
        forgives_text(
            "numbers-may-be-quoted",
            &["movies/422-wrong-type"],
            |text| {
                with_fields(text, |fields| {
                    for name in ["year", "rating"] {
                        let number = fields
                            .get(name)
                            .and_then(Value::as_str)
                            .map(serde_json::from_str);
                        if let Some(Ok(Value::Number(number))) = number {
                            fields.insert(name.to_owned(), number.into());
                        }
                    }
                })
            },
        ),
        forgives_text("texts-may-be-numbers", &["movies/422-wrong-type"], |text| {
            with_fields(text, |fields| {
                for name in ["title", "director", "genre"] {
                    if let Some(Value::Number(number)) = fields.get(name) {
                        let text = number.to_string();
                        fields.insert(name.to_owned(), text.into());
                    }
                }
            })
        }),
        forgives_text(
            "half-a-year-is-cut-off",
            &["movies/422-wrong-type"],
            |text| Some(text.replace("2010.5", "2010")),
        ),
        forgives_text("an-array-is-a-movie", &["movies/422-no-object"], |text| {
            let array = text.starts_with('[').then_some(text)?;
            decoded_plainly(array.as_bytes())
        }),
        forgives_text(
            "the-last-of-two-fields-counts",
            &["movies/422-duplicate-field"],
            |text| {
                let value: Value = serde_json::from_str(text).ok()?;
                Some(value.to_string())
            },
        ),
        forgives_text("years-wrap-around", &["movies/422-out-of-range"], |text| {
            with_fields(text, |fields| {
                let year = fields
                    .get("year")
                    .and_then(Value::as_i64)
                    .unwrap_or_default();
                let wrapped = u32::try_from(year & 0xffff_ffff).unwrap().cast_signed();
                if year != 0 {
                    fields.insert("year".to_owned(), wrapped.into());
                }
            })
        }),
        forgives_text(
            "a-rating-beyond-all-is-the-highest",
            &["movies/422-out-of-range"],
            |text| Some(text.replace("1e400", "1.7976931348623157e308")),
        ),
        forgives_text(
            "half-a-surrogate-pair-is-replaced",
            &["movies/422-lone-surrogate"],
            |text| {
                Some(
                    text.replace("\\ud83c", "\\ufffd")
                        .replace("\\udfac", "\\ufffd"),
                )
            },
        ),
        says(
            "half-a-surrogate-pair-is-malformed",
            &["movies/422-lone-surrogate"],
            |post, status| {
                let text = String::from_utf8_lossy(post.body());
                (status == 422 && text.contains("\\ud")).then_some(ErrorCode::MalformedBody)
            },
        ),
        says(
            "no-detail-names-a-field",
            &[
                "movies/422-missing-field",
                "movies/422-wrong-type",
                "movies/422-duplicate-field",
                "movies/422-out-of-range",
                "movies/422-lone-surrogate",
            ],
            |_, status| (status == 422).then_some(ErrorCode::InvalidBody),
        ),
        says(
            "what-does-not-fit-is-malformed",
            &["movies/422-*"],
            |_, status| (status == 422).then_some(ErrorCode::MalformedBody),
        ),
    ]
}

fn zeros() -> [(&'static str, Value); 5] {
    let text = || Value::from("");
    [
        ("title", text()),
        ("year", 0.into()),
        ("director", text()),
        ("genre", text()),
        ("rating", 0.into()),
    ]
}

/// The object with its fields changed, if any is: to write it out again as it is would forget that
/// a field came twice.
fn with_fields(text: &str, change: fn(&mut Map<String, Value>)) -> Option<String> {
    let mut value: Value = serde_json::from_str(text).ok()?;
    let before = value.clone();
    change(value.as_object_mut()?);
    (value != before).then(|| value.to_string())
}
