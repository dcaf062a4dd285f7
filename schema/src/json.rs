//! Strict decoding of one JSON text (RFC 8259), the same for request bodies and upstream answers.
//!
//! Stricter than `serde_json::from_slice`: invalid UTF-8 and too deep nesting are refused inside ignored
//! fields too, and an array is not accepted as an object (serde's derived structs accept both).

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use memchr::memchr2_iter;
use serde::Deserialize;
use serde::de::value::{BytesDeserializer, MapAccessDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Unexpected, Visitor};

use crate::limits::JSON_DEPTH_MAX;

/// The reason for refusing a JSON text, without the text itself.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Rejection {
    /// Not a JSON text: syntax, empty, invalid UTF-8, trailing data, nested too deep.
    #[error("not JSON")]
    Malformed,
    /// JSON, but not the expected object.
    #[error("{detail}")]
    Invalid {
        /// The field and its expected form.
        detail: String,
    },
}

/// A type that is decoded from a JSON object, with the fields that an error may name.
pub trait Fields {
    /// Field name on the wire, and its expected form ("a string").
    const FIELDS: &'static [(&'static str, &'static str)];
}

/// Decodes the object `T` from a whole JSON text.
///
/// # Errors
/// The text is not JSON, or does not fit `T`.
pub fn from_slice<'de, T>(text: &'de [u8]) -> Result<T, Rejection>
where
    T: Deserialize<'de> + Fields,
{
    let text = std::str::from_utf8(text).map_err(|_| Rejection::Malformed)?;
    if too_deep(text) {
        return Err(Rejection::Malformed);
    }
    let decoded = serde_json::from_str::<Object<T>>(text);
    decoded.map(|object| object.0).map_err(|error| {
        // Not on the hot path: the text may be decoded again.
        match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => Rejection::Invalid {
                detail: detail::<T>(&error.to_string()),
            },
            Err(_) => Rejection::Malformed,
        }
    })
}

/// Returns the field that the error is about and its expected form. serde's message may quote the input, so
/// only the name of the field is read from it.
fn detail<T: Fields>(message: &str) -> String {
    for (field, expected) in T::FIELDS {
        if message.starts_with(&format!("missing field `{field}`")) {
            return format!("{field}: missing, must be {expected}");
        }
        if message.starts_with(&format!("duplicate field `{field}`")) {
            return format!("{field}: given twice");
        }
        if message.starts_with(&format!("{field}: ")) {
            return format!("{field}: must be {expected}");
        }
    }
    "must be an object".to_owned()
}

/// Returns true if arrays and objects nest deeper than [`JSON_DEPTH_MAX`]. Most texts have fewer opening
/// brackets than that, so counting those comes first.
fn too_deep(text: &str) -> bool {
    let mut openers = memchr2_iter(b'[', b'{', text.as_bytes());
    openers.nth(JSON_DEPTH_MAX).is_some() && depth(text) > JSON_DEPTH_MAX
}

/// Returns the deepest nesting of arrays and objects, ignoring brackets inside strings.
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

/// A `T` that is decoded only from an object.
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
                let name = Cow::default();
                T::deserialize(MapAccessDeserializer::new(Members { map, name })).map(Object)
            }
        }

        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

/// The members of an object. Names are compared as bytes, because one with half of a surrogate pair (`"\ud800"`)
/// is JSON, but no text. An error in a value begins with the name.
struct Members<'de, A> {
    map: A,
    name: Cow<'de, [u8]>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Members<'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        #[derive(Deserialize)]
        struct Name<'a>(#[serde(borrow)] Cow<'a, [u8]>);

        let Some(Name(name)) = self.map.next_key()? else {
            return Ok(None);
        };
        self.name = name;
        seed.deserialize(BytesDeserializer::new(&self.name))
            .map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed).map_err(|error| {
            let name = String::from_utf8_lossy(&self.name);
            A::Error::custom(format!("{name}: {error}"))
        })
    }
}

/// Decodes a nested struct only from an object, for `#[serde(deserialize_with)]`.
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

/// Decodes a 32-bit integer, for `#[serde(deserialize_with)]`: a number without a fraction, however it is
/// written (`2010.0`, `-0`, `1e3`), as in JSON Schema.
///
/// # Errors
/// The deserializer's own; a fraction; another range.
pub fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    // A double represents every 32-bit integer exactly, and the cast saturates.
    let number = f64::deserialize(deserializer)?;
    let integer = number as i32;
    match f64::from(integer) == number {
        true => Ok(integer),
        false => Err(D::Error::invalid_value(
            Unexpected::Float(number),
            &"a 32-bit integer",
        )),
    }
}

/// Decodes a list of strings, borrowed where the text has no escapes, for `#[serde(deserialize_with)]`:
/// serde borrows a `Cow` that is a field, and owns one in a list.
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

    const MOVIE: &str = r#"{"title":"t","year":1,"director":"d","genre":"g","rating":8}"#;

    fn is_movie(text: &str) -> bool {
        from_slice::<NewMovie<'_>>(text.as_bytes()).is_ok()
    }

    fn rejection(text: impl AsRef<[u8]>) -> Rejection {
        from_slice::<NewMovie<'_>>(text.as_ref()).unwrap_err()
    }

    fn invalid(detail: &str) -> Rejection {
        let detail = detail.to_owned();
        Rejection::Invalid { detail }
    }

    #[test]
    fn texts_of_a_list_are_borrowed_unless_escaped() {
        let text = fixtures::PRODUCT_JSON.replace("peripherals", r"\u0070eripherals");
        let product: Product<'_> = from_slice(text.as_bytes()).unwrap();
        let is_owned = |tag: &&Cow<'_, str>| matches!(tag, Cow::Owned(_));
        let owned: Vec<_> = product.tags.iter().filter(is_owned).collect();
        assert_eq!(owned, ["peripherals"]);
        let expected: Product<'_> = serde_json::from_str(fixtures::PRODUCT_JSON).unwrap();
        assert_eq!(product, expected);
    }

    #[test]
    fn unknown_fields_are_ignored() {
        for member in [
            r#""x":[{}]"#,
            r#""\ud800":1"#,
            r#""x":{"\udc00\ud800":"\ud800"}"#,
        ] {
            let text = MOVIE.replacen('{', &format!("{{{member},"), 1);
            assert!(is_movie(&text), "{text}");
        }
    }

    #[test]
    fn integer_may_be_written_with_a_fraction_of_zero_or_an_exponent() {
        for (text, year) in [
            ("-0", 0),
            ("0.0", 0),
            ("34881095.0", 34_881_095),
            ("1e3", 1000),
            ("-2147483648.0", i32::MIN),
            ("2147483647", i32::MAX),
        ] {
            let text = MOVIE.replacen('1', text, 1);
            let movie: NewMovie<'_> = from_slice(text.as_bytes()).unwrap();
            assert_eq!(movie.year, year, "{text}");
        }
    }

    #[test]
    fn text_that_is_not_one_json_value_is_malformed() {
        for text in [
            "",
            " ",
            "{",
            "nope",
            r#"{"title":}"#,
            "{'title':1}",
            "[1,]",
            r#"{"title":1,"year":}"#,
            &format!("{MOVIE} {{}}"),
        ] {
            assert_eq!(rejection(text), Rejection::Malformed, "{text}");
        }
        assert_eq!(rejection(b"{\"x\":\"\xff\"}"), Rejection::Malformed);
    }

    #[test]
    fn nesting_beyond_the_limit_is_malformed_also_in_ignored_fields() {
        let nested = |depth: usize| {
            let (open, close) = ("[".repeat(depth), "]".repeat(depth));
            MOVIE.replace('{', &format!(r#"{{"x":{open}{close},"#))
        };
        assert!(is_movie(&nested(JSON_DEPTH_MAX - 2)));
        assert_eq!(rejection(nested(JSON_DEPTH_MAX)), Rejection::Malformed);
        let brackets = "[".repeat(2 * JSON_DEPTH_MAX);
        let in_string = MOVIE.replace(r#""t""#, &format!(r#""\"{brackets}""#));
        assert!(is_movie(&in_string));
    }

    #[test]
    fn detail_names_the_field_and_never_quotes_the_input() {
        for (from, to, detail) in [
            (
                r#""year":1,"#,
                "",
                "year: missing, must be a 32-bit integer",
            ),
            ("1", "1.5", "year: must be a 32-bit integer"),
            ("1", "2147483648", "year: must be a 32-bit integer"),
            ("1", "2147483648.0", "year: must be a 32-bit integer"),
            ("1", "1e300", "year: must be a 32-bit integer"),
            ("1", r#""secret""#, "year: must be a 32-bit integer"),
            (r#""t""#, "null", "title: must be a string"),
            (r#""t""#, r#""\ud800""#, "title: must be a string"),
            ("8", r#""8""#, "rating: must be a number"),
            ("8", "1e400", "rating: must be a number"),
            ("8", r#"8,"title":"u""#, "title: given twice"),
        ] {
            let text = MOVIE.replacen(from, to, 1);
            assert_eq!(rejection(text), invalid(detail), "{to}");
        }
    }

    #[test]
    fn array_is_not_accepted_as_an_object() {
        for text in ["null", "1", r#""s""#, r#"["t",1,"d","g",8]"#] {
            assert_eq!(rejection(text), invalid("must be an object"), "{text}");
        }
        let vendor = r#"{"id":"vendor-9","name":"KeyCo"}"#;
        let text = fixtures::PRODUCT_JSON.replace(vendor, r#"["vendor-9","KeyCo"]"#);
        let rejection = from_slice::<Product<'_>>(text.as_bytes()).unwrap_err();
        let detail = "vendor: must be an object with id and name";
        assert_eq!(rejection, invalid(detail));
    }
}
