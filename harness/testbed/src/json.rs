//! Compares a JSON text with an expected value.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use uuid::{Uuid, Variant};

/// An expected string that every UUID v4 is equal to.
pub const ANY_UUID_V4: &str = "<a UUID v4>";

/// Longest value in the text of a difference, in characters.
const VALUE_MAX_CHARS: usize = 120;

/// The expected body of a response. The order of fields and white space are not compared, numbers
/// are equal if their values are, and unknown fields are ignored.
#[derive(Clone, Debug)]
pub struct Expected(Value);

impl Expected {
    /// Expects this value.
    pub fn body(value: &Value) -> Self {
        Self(value.clone())
    }

    /// Adds a field `id`, which is any UUID v4.
    pub fn with_fresh_id(mut self) -> Self {
        self.0["id"] = ANY_UUID_V4.into();
        self
    }

    /// Checks a body.
    ///
    /// # Errors
    /// The place of the first difference, such as `body: user.name`.
    pub fn check(&self, body: &[u8]) -> Result<(), String> {
        let all = differences(&self.0, body).map_err(|_| "body: not JSON".to_owned())?;
        match all.iter().find(|difference| !difference.is_unknown_field) {
            None => Ok(()),
            Some(first) if first.path.is_empty() => Err("body: not an object".to_owned()),
            Some(first) => Err(format!("body: {}", first.path)),
        }
    }
}

/// One place where a JSON text is not the expected value.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The place, such as `user.tags[1]`; empty for the whole text.
    path: String,
    /// The expected and the actual value.
    text: String,
    is_unknown_field: bool,
}

impl Difference {
    fn new(path: String, expected: Option<&Value>, actual: Option<&Json>) -> Self {
        let expected = expected.map(short);
        let actual = actual.map(short);
        let text = match (expected, actual) {
            (Some(expected), Some(actual)) => format!("expected {expected}, actual {actual}"),
            (Some(expected), None) => format!("missing, expected {expected}"),
            (None, actual) => format!("unexpected {}", actual.unwrap_or_default()),
        };
        Self {
            path,
            text,
            is_unknown_field: false,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = match self.path.as_str() {
            "" => "the whole value",
            path => path,
        };
        write!(formatter, "{path}: {}", self.text)
    }
}

fn short(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).expect("a JSON value is plain JSON");
    shortened(&text, VALUE_MAX_CHARS)
}

/// Returns every difference between the text and the value, unknown fields included.
///
/// # Errors
/// The text is not JSON.
pub fn differences(expected: &Value, text: &[u8]) -> serde_json::Result<Vec<Difference>> {
    let mut differences = Vec::new();
    compare(
        "",
        expected,
        &serde_json::from_slice(text)?,
        &mut differences,
    );
    Ok(differences)
}

fn compare(path: &str, expected: &Value, actual: &Json, differences: &mut Vec<Difference>) {
    match (expected, actual) {
        (Value::Object(expected), Json::Object(Fields(actual))) => {
            for (name, actual) in actual {
                let path = inner(path, name);
                match expected.get(name) {
                    Some(expected) => compare(&path, expected, actual, differences),
                    None => differences.push(Difference {
                        is_unknown_field: true,
                        ..Difference::new(path, None, Some(actual))
                    }),
                }
            }
            for (name, expected) in expected {
                if actual.iter().all(|(other, _)| other != name) {
                    differences.push(Difference::new(inner(path, name), Some(expected), None));
                }
            }
        }
        (Value::Array(expected), Json::Array(actual)) => {
            for index in 0..expected.len().max(actual.len()) {
                let path = format!("{path}[{index}]");
                match (expected.get(index), actual.get(index)) {
                    (Some(expected), Some(actual)) => compare(&path, expected, actual, differences),
                    (expected, actual) => differences.push(Difference::new(path, expected, actual)),
                }
            }
        }
        (_, Json::Scalar(actual)) if is_equal(expected, actual) => {}
        _ => differences.push(Difference::new(
            path.to_owned(),
            Some(expected),
            Some(actual),
        )),
    }
}

/// Returns the place of a field of the value at `path`.
fn inner(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        _ => format!("{path}.{name}"),
    }
}

fn is_equal(expected: &Value, actual: &Value) -> bool {
    match (expected, actual) {
        (Value::Number(expected), Value::Number(actual)) => expected.as_f64() == actual.as_f64(),
        (Value::String(expected), Value::String(actual)) if expected == ANY_UUID_V4 => {
            parse_uuid_v4(actual).is_some()
        }
        _ => expected == actual,
    }
}

/// Returns the fields of an object and of the objects in it, as `outer.inner`, in the order of the
/// text. Arrays are not looked into.
///
/// # Errors
/// The text is not JSON.
pub fn field_order(text: &[u8]) -> serde_json::Result<Vec<String>> {
    fn add_fields(path: &str, json: &Json, order: &mut Vec<String>) {
        if let Json::Object(Fields(fields)) = json {
            for (name, value) in fields {
                let path = inner(path, name);
                order.push(path.clone());
                add_fields(&path, value, order);
            }
        }
    }
    let mut order = Vec::new();
    add_fields("", &serde_json::from_slice(text)?, &mut order);
    Ok(order)
}

/// Parses a UUID v4 (RFC 9562, 5.4) in its canonical form.
pub fn parse_uuid_v4(text: &str) -> Option<Uuid> {
    /// The length of the canonical form; every other form has another.
    const LENGTH: usize = 36;
    let id = Uuid::try_parse(text).ok()?;
    let is_v4 = id.get_version_num() == 4 && id.get_variant() == Variant::RFC4122;
    (is_v4 && text.len() == LENGTH).then_some(id)
}

/// Cuts a text that has more characters.
pub fn shortened(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

/// A JSON value that keeps the order of its fields, and those that come twice.
#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Json {
    Object(Fields),
    Array(Vec<Json>),
    Scalar(Value),
}

struct Fields(Vec<(String, Json)>);

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(FieldsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn expected() -> Value {
        json!({
            "name": "a\"b", "rating": 8.0, "ratio": 3.7, "ok": true, "none": null,
            "tags": ["x", "y"], "user": {"id": "u"},
        })
    }

    const RIGHT: &str = r#"{"name":"a\"b","rating":8.0,"ratio":3.7,"ok":true,"none":null,"tags":["x","y"],"user":{"id":"u"}}"#;

    #[test]
    fn field_order_white_space_and_spelling_of_values_are_not_compared() {
        let other = r#" { "user": {"more": [1, {}], "id": "\u0075"}, "tags": ["x", "y"], "more": 1,
            "none": null, "ok": true, "ratio": 3.7000000000000002, "rating": 8,
            "name": "\u0061\"b" } "#;
        let check = |text: &str| Expected::body(&expected()).check(text.as_bytes());
        assert_eq!((check(RIGHT), check(other)), (Ok(()), Ok(())));
        let unknown = differences(&expected(), other.as_bytes()).unwrap();
        let unknown: Vec<_> = unknown.iter().map(Difference::to_string).collect();
        assert_eq!(
            unknown,
            ["user.more: unexpected [1,{}]", "more: unexpected 1"]
        );
        let right = differences(&expected(), RIGHT.as_bytes());
        assert_eq!(right.unwrap(), []);
    }

    #[test]
    fn wrong_body_is_reported_with_its_first_difference() {
        for (right, wrong, first) in [
            (r#""a\"b""#, r#""ab""#, "body: name"),
            (r#""a\"b""#, "7", "body: name"),
            ("8.0", "8.1", "body: rating"),
            ("8.0", r#""8.0""#, "body: rating"),
            ("3.7", "3.7000000001", "body: ratio"),
            ("true", "false", "body: ok"),
            (r#""none":null,"#, "", "body: none"),
            (r#"["x","y"]"#, r#"["x"]"#, "body: tags[1]"),
            (r#"["x","y"]"#, r#"["y","x"]"#, "body: tags[0]"),
            (r#"["x","y"]"#, r#"["x","y","z"]"#, "body: tags[2]"),
            (r#"{"id":"u"}"#, r#"["u"]"#, "body: user"),
            (r#"{"id":"u"}"#, "{}", "body: user.id"),
            (r#"{"id":"u"}"#, r#"{"id":null}"#, "body: user.id"),
            (RIGHT, "[]", "body: not an object"),
            (RIGHT, "", "body: not JSON"),
            (RIGHT, &RIGHT[..RIGHT.len() - 1], "body: not JSON"),
            (RIGHT, &format!("{RIGHT}}}"), "body: not JSON"),
        ] {
            let actual = RIGHT.replace(right, wrong);
            let checked = Expected::body(&expected()).check(actual.as_bytes());
            assert_eq!(checked, Err(first.to_owned()), "{actual}");
        }
    }

    #[test]
    fn every_difference_is_reported_with_both_values() {
        let expected = json!({"a": 1, "b": {"c": "x"}, "d": [1, 2], "e": true, "f": [], "g": {}});
        let actual = br#"{"g":[1],"f":{"h":[]},"d":[1],"b":{"f":0,"c":"y"},"a":2}"#;
        let differences = differences(&expected, actual).unwrap();
        let lines: Vec<_> = differences.iter().map(Difference::to_string).collect();
        assert_eq!(
            lines,
            [
                "g: expected {}, actual [1]",
                r#"f: expected [], actual {"h":[]}"#,
                "d[1]: missing, expected 2",
                "b.f: unexpected 0",
                r#"b.c: expected "x", actual "y""#,
                "a: expected 1, actual 2",
                "e: missing, expected true",
            ]
        );
    }

    #[test]
    fn fresh_id_is_any_canonical_uuid_v4() {
        let expected = Expected::body(&json!({})).with_fresh_id();
        for (id, is_right) in [
            ("8f14e45f-ceea-467f-a4b4-6e4c1b5ad2b0", true),
            ("8F14E45F-CEEA-467F-A4B4-6E4C1B5AD2B0", true),
            ("8f14e45f-ceea-167f-a4b4-6e4c1b5ad2b0", false),
            ("8f14e45f-ceea-467f-04b4-6e4c1b5ad2b0", false),
            ("8f14e45fceea467fa4b46e4c1b5ad2b0", false),
            (ANY_UUID_V4, false),
            ("", false),
        ] {
            let body = json!({ "id": id }).to_string();
            assert_eq!(expected.check(body.as_bytes()).is_ok(), is_right, "{id}");
        }
        assert_eq!(expected.check(b"{}"), Err("body: id".to_owned()));
    }

    #[test]
    fn field_order_is_that_of_the_text() {
        let json = br#"{"b":1,"a":{"d":"x","c":null},"e":[{"f":true}],"g":-1.5}"#;
        assert_eq!(
            field_order(json).unwrap(),
            ["b", "a", "a.d", "a.c", "e", "g"]
        );
        assert!(field_order(b"{} {}").is_err());
    }
}
