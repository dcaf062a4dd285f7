//! Mutants that accept a bad body, or refuse it with another error.

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use schema::limits::REQUEST_BODY_MAX_BYTES;
use schema::{ErrorCode, NewMovie};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::mutant::Mutant;
use crate::post::{Post, accepts, accepts_text, errors, on_post};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

pub(super) fn mutants() -> Vec<Mutant> {
    let mut mutants = malformed();
    mutants.extend(invalid());
    mutants.extend(types_and_sizes());
    mutants
}

fn malformed() -> Vec<Mutant> {
    vec![
        accepts_text("last-comma-is-ignored", "movies/400-syntax", |text| {
            Some(text.replace(",}", "}"))
        }),
        accepts_text(
            "empty-body-is-an-empty-object",
            "movies/400-empty",
            |text| text.trim().is_empty().then(|| "{}".to_owned()),
        ),
        accepts(
            "invalid-utf8-is-replaced",
            "movies/400-invalid-utf8",
            |post| {
                *post.body_mut() = String::from_utf8_lossy(post.body()).into_owned().into();
            },
        ),
        accepts_text(
            "only-the-first-value-is-read",
            "movies/400-trailing-data",
            |text| {
                let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
                values.next()?.ok()?;
                Some(text[..values.byte_offset()].to_owned())
            },
        ),
        accepts(
            "bodies-are-decoded-by-serde",
            "movies/400-too-deep movies/400-invalid-utf8 movies/422-no-object",
            |post| {
                if let Some(text) = decoded_by_serde(post.body()) {
                    *post.body_mut() = text.into();
                }
            },
        ),
    ]
}

/// Decodes a movie as serde alone does: an array is an object, ignored values are not validated.
fn decoded_by_serde(text: &[u8]) -> Option<String> {
    let text = (text.len() <= REQUEST_BODY_MAX_BYTES).then_some(text)?;
    let movie: NewMovie<'_> = serde_json::from_slice(text).ok()?;
    serde_json::to_string(&movie).ok()
}

fn invalid() -> Vec<Mutant> {
    vec![
        accepts_fields(
            "missing-fields-are-zero",
            "movies/422-missing-field",
            |fields| {
                for (name, zero) in zeros() {
                    fields.entry(name).or_insert(zero);
                }
            },
        ),
        accepts_fields("null-is-zero", "movies/422-wrong-type", |fields| {
            for (name, zero) in zeros() {
                if fields.get(name) == Some(&Value::Null) {
                    fields.insert(name.to_owned(), zero);
                }
            }
        }),
        accepts_fields("numbers-may-be-quoted", "movies/422-wrong-type", |fields| {
            for name in ["year", "rating"] {
                let text = fields.get(name).and_then(Value::as_str);
                if let Some(Ok(Value::Number(number))) = text.map(serde_json::from_str) {
                    fields.insert(name.to_owned(), number.into());
                }
            }
        }),
        accepts_text("half-a-year-is-cut-off", "movies/422-wrong-type", |text| {
            Some(text.replace("2010.5", "2010"))
        }),
        accepts_text(
            "last-of-two-fields-counts",
            "movies/422-duplicate-field",
            |text| Some(serde_json::from_str::<Value>(text).ok()?.to_string()),
        ),
        accepts_fields("years-wrap-around", "movies/422-out-of-range", |fields| {
            let year = fields.get("year").and_then(Value::as_i64).unwrap_or(0);
            let wrapped = u32::try_from(year & 0xffff_ffff).unwrap().cast_signed();
            if year != 0 {
                fields.insert("year".to_owned(), wrapped.into());
            }
        }),
        accepts_text(
            "infinite-rating-is-the-highest",
            "movies/422-out-of-range",
            |text| Some(text.replace("1e400", "1.7976931348623157e308")),
        ),
        accepts_text(
            "lone-surrogate-is-replaced",
            "movies/422-lone-surrogate",
            |text| {
                let text = text.replace("\\ud83c", "\\ufffd");
                Some(text.replace("\\udfac", "\\ufffd"))
            },
        ),
        errors(
            "no-detail-names-a-field",
            "movies/422-missing-field movies/422-wrong-type movies/422-duplicate-field \
             movies/422-out-of-range movies/422-lone-surrogate",
            |_, status| (status == 422).then_some(ErrorCode::InvalidBody),
        ),
        errors("invalid-is-malformed", "movies/422-*", |_, status| {
            (status == 422).then_some(ErrorCode::MalformedBody)
        }),
    ]
}

fn zeros() -> [(&'static str, Value); 5] {
    ["title", "year", "director", "genre", "rating"].map(|name| match name {
        "year" | "rating" => (name, 0.into()),
        _ => (name, "".into()),
    })
}

/// Creates a mutant that repeats refused requests with other fields. A text whose fields do not
/// change stays as it is: encoding it would drop duplicate fields.
fn accepts_fields(name: &str, trips: &str, change: fn(&mut Map<String, Value>)) -> Mutant {
    on_post(name, trips, move |target, post| async move {
        let response = target.respond(post.clone().map(Body::from)).await;
        let Ok(Value::Object(mut fields)) = serde_json::from_slice(post.body()) else {
            return response;
        };
        let before = fields.clone();
        change(&mut fields);
        if response.status() != ErrorCode::InvalidBody.status() || fields == before {
            return response;
        }
        let text = Value::Object(fields).to_string();
        target.respond(post.map(|_| Body::from(text))).await
    })
}

fn types_and_sizes() -> Vec<Mutant> {
    vec![
        accepts("any-content-type-is-json", "movies/415", |post| {
            if types(post).len() == 1 {
                post.headers_mut().insert(CONTENT_TYPE, JSON);
            }
        }),
        accepts("no-content-type-is-json", "movies/415-missing", |post| {
            post.headers_mut().entry(CONTENT_TYPE).or_insert(JSON);
        }),
        accepts("first-content-type-counts", "movies/415-twice", |post| {
            if let [first, _] = types(post).as_slice() {
                let first = first.clone();
                post.headers_mut().insert(CONTENT_TYPE, first);
            }
        }),
        accepts("announced-body-may-be-larger", "movies/413", |post| {
            if post.headers().contains_key(CONTENT_LENGTH) {
                remove_spaces(post);
            }
        }),
        accepts(
            "only-announced-bodies-are-limited",
            "movies/413-chunked",
            |post| {
                if !post.headers().contains_key(CONTENT_LENGTH) {
                    remove_spaces(post);
                }
            },
        ),
        on_post(
            "bodies-have-no-deadline",
            "movies/408",
            async |target, post: Post| target.respond(post.map(Body::from)).await,
        )
        .with_faults(),
    ]
}

fn types(post: &Post) -> Vec<HeaderValue> {
    let types = post.headers().get_all(CONTENT_TYPE);
    types.iter().cloned().collect()
}

/// Removes the spaces that make a body of the checks large.
fn remove_spaces(post: &mut Post) {
    *post.body_mut() = post.body().trim_ascii_start().to_vec().into();
}
