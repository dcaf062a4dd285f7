//! Strict decoding of one JSON text (RFC 8259), the same for request bodies and upstream answers.
//!
//! Stricter than `serde_json::from_slice` alone: invalid UTF-8 and too deep nesting are refused
//! inside ignored fields too, and an array never passes for an object (serde's derived structs
//! take both).

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use memchr::memchr2_iter;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::limits::JSON_DEPTH_MAX;

/// Why a JSON text was refused. Never contains the text itself.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Rejection {
    /// Not a JSON text: syntax, empty, invalid UTF-8, trailing data, nested too deep.
    #[error("not JSON")]
    Malformed,
    /// JSON, but not the object that is expected; says which field and what it should be.
    #[error("{detail}")]
    Invalid {
        /// Names the field.
        detail: String,
    },
}

/// A type that is decoded from a JSON object whose fields can be named to the caller.
pub trait Fields {
    /// Field name on the wire, and what it must be ("a string").
    const FIELDS: &'static [(&'static str, &'static str)];
}

/// Decodes the object `T` from a whole JSON text.
///
/// # Errors
/// [`Rejection`], which says whether the text is no JSON or does not fit.
pub fn from_slice<'de, T>(text: &'de [u8]) -> Result<T, Rejection>
where
    T: Deserialize<'de> + Fields,
{
    let text = std::str::from_utf8(text).map_err(|_| Rejection::Malformed)?;
    if too_deep(text) {
        return Err(Rejection::Malformed);
    }
    serde_json::from_str::<Object<T>>(text)
        .map(|object| object.0)
        .map_err(|_| explain::<T>(text))
}

/// Decodes again to say what is wrong: off the hot path, so it may take its time.
fn explain<'de, T>(text: &'de str) -> Rejection
where
    T: Deserialize<'de> + Fields,
{
    if serde_json::from_str::<IgnoredAny>(text).is_err() {
        return Rejection::Malformed;
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let detail = match serde_path_to_error::deserialize::<_, Object<T>>(&mut json) {
        Ok(_) => "unexpected".to_owned(),
        Err(error) => detail::<T>(&error.path().to_string(), &error.inner().to_string()),
    };
    Rejection::Invalid { detail }
}

/// Words a failure by `path` ("year", or "." for the object itself) without serde's message, which
/// may quote the input; of that only the field name of a missing or duplicate field is taken.
fn detail<T: Fields>(path: &str, message: &str) -> String {
    let root = path.split(['.', '[']).next().unwrap_or_default();
    for (field, expected) in T::FIELDS {
        if message.starts_with(&format!("missing field `{field}`")) {
            return format!("{field}: missing, must be {expected}");
        }
        if message.starts_with(&format!("duplicate field `{field}`")) {
            return format!("{field}: given twice");
        }
        if root == *field {
            return format!("{field}: must be {expected}");
        }
    }
    "must be an object".to_owned()
}

/// Whether arrays and objects nest deeper than [`JSON_DEPTH_MAX`]. Most texts have fewer openers, and
/// finding these settles it.
fn too_deep(text: &str) -> bool {
    let mut openers = memchr2_iter(b'[', b'{', text.as_bytes());
    openers.nth(JSON_DEPTH_MAX).is_some() && depth(text) > JSON_DEPTH_MAX
}

/// The deepest nesting of arrays and objects, brackets inside strings not counted.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// A `T` that is decoded from an object only.
#[derive(Clone, Copy, Debug)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

/// For `#[serde(deserialize_with)]`: a nested struct that is decoded from an object only.
///
/// # Errors
/// The deserializer's own.
pub fn object<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Object::deserialize(deserializer).map(|object| object.0)
}

/// For `#[serde(deserialize_with)]`: strings that are borrowed where the text has no escapes. serde
/// borrows a `Cow` by itself where it is a field, and owns it in a list.
///
/// # Errors
/// The deserializer's own.
pub fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Cow<'de, str>>, D::Error> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

    let texts = Vec::<Text<'de>>::deserialize(deserializer)?;
    Ok(texts.into_iter().map(|text| text.0).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NewMovie, Product, fixtures};

    #[test]
    fn texts_of_a_list_are_borrowed_where_they_can_be() {
        let text = fixtures::PRODUCT_JSON.replace("peripherals", r"\u0070eripherals");
        let product: Product<'_> = from_slice(text.as_bytes()).unwrap();
        let owned = |tag: &Cow<'_, str>| matches!(tag, Cow::Owned(_));
        let owned: Vec<_> = product.tags.iter().filter(|tag| owned(tag)).collect();
        assert_eq!(owned, ["peripherals"]);
        assert_eq!(
            product,
            serde_json::from_str(fixtures::PRODUCT_JSON).unwrap()
        );
    }

    const MOVIE: &str = r#"{"title":"t","year":1,"director":"d","genre":"g","rating":8}"#;

    fn refusal(text: impl AsRef<[u8]>) -> Rejection {
        from_slice::<NewMovie<'_>>(text.as_ref()).unwrap_err()
    }

    fn invalid(detail: &str) -> Rejection {
        Rejection::Invalid {
            detail: detail.to_owned(),
        }
    }

    #[test]
    fn an_integer_is_a_valid_rating_and_unknown_fields_are_ignored() {
        let text = MOVIE.replace("{", r#"{"x":[{}],"#);
        let movie: NewMovie<'_> = from_slice(text.as_bytes()).unwrap();
        assert_eq!(movie.rating.to_bits(), 8.0_f64.to_bits());
    }

    #[test]
    fn what_is_not_one_json_text_is_malformed() {
        for text in ["", " ", "{", "nope", r#"{"title":}"#, "{'title':1}", "[1,]"] {
            assert_eq!(refusal(text), Rejection::Malformed, "{text}");
        }
        assert_eq!(refusal(format!("{MOVIE} {{}}")), Rejection::Malformed);
        assert_eq!(refusal(b"{\"x\":\"\xff\"}"), Rejection::Malformed);
        let broken_after_a_bad_field = r#"{"title":1,"year":}"#;
        assert_eq!(refusal(broken_after_a_bad_field), Rejection::Malformed);
    }

    #[test]
    fn nesting_is_refused_beyond_the_limit_also_in_ignored_fields() {
        let nested = |depth: usize| {
            let (open, close) = ("[".repeat(depth), "]".repeat(depth));
            MOVIE.replace('{', &format!(r#"{{"x":{open}{close},"#))
        };
        assert!(from_slice::<NewMovie<'_>>(nested(JSON_DEPTH_MAX - 2).as_bytes()).is_ok());
        assert_eq!(refusal(nested(JSON_DEPTH_MAX)), Rejection::Malformed);
    }

    #[test]
    fn brackets_in_strings_do_not_count_as_nesting() {
        let brackets = "[".repeat(2 * JSON_DEPTH_MAX);
        let text = MOVIE.replace(r#""t""#, &format!(r#""\"{brackets}""#));
        assert!(from_slice::<NewMovie<'_>>(text.as_bytes()).is_ok());
    }

    #[test]
    fn the_detail_names_the_field_and_never_quotes_the_input() {
        for (from, to, detail) in [
            (
                r#""year":1,"#,
                "",
                "year: missing, must be a 32-bit integer",
            ),
            ("1", "1.5", "year: must be a 32-bit integer"),
            ("1", "2147483648", "year: must be a 32-bit integer"),
            ("1", r#""secret""#, "year: must be a 32-bit integer"),
            (r#""t""#, "null", "title: must be a string"),
            ("8", r#""8""#, "rating: must be a number"),
            ("8", r#"8,"title":"u""#, "title: given twice"),
        ] {
            assert_eq!(
                refusal(MOVIE.replacen(from, to, 1)),
                invalid(detail),
                "{to}"
            );
        }
    }

    #[test]
    fn only_an_object_is_an_object() {
        for text in ["null", "1", r#""s""#, r#"["t",1,"d","g",8]"#] {
            assert_eq!(refusal(text), invalid("must be an object"), "{text}");
        }
        let vendor = r#"{"id":"vendor-9","name":"KeyCo"}"#;
        let text = fixtures::PRODUCT_JSON.replace(vendor, r#"["vendor-9","KeyCo"]"#);
        let refusal = from_slice::<Product<'_>>(text.as_bytes()).unwrap_err();
        assert_eq!(
            refusal,
            invalid("vendor: must be an object with id and name")
        );
    }

    #[test]
    fn valid_syntax_that_no_value_can_hold_does_not_fit() {
        let surrogate = MOVIE.replace(r#""t""#, r#""\ud800""#);
        assert_eq!(refusal(surrogate), invalid("title: must be a string"));
        let infinite = MOVIE.replace('8', "1e400");
        assert_eq!(refusal(infinite), invalid("rating: must be a number"));
    }
}
