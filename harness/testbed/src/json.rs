//! Compares a JSON text with an expected value while the text is read. Nothing of the text is kept,
//! and nothing is allocated while it is right and its strings have no escapes: the load engine
//! compares every response.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess};
use serde::de::{Error, Visitor};
use serde_json::{Map, Value};
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
        let mut first = None;
        let mut on_event = |event: Event<'_>| {
            if let Event::Difference { path, .. } = event {
                first.get_or_insert_with(|| match path.to_string() {
                    path if path.is_empty() => "body: not an object".to_owned(),
                    path => format!("body: {path}"),
                });
            }
        };
        match walk(body, Some(&self.0), Unknown::Ignore, &mut on_event) {
            Err(_) => Err("body: not JSON".to_owned()),
            Ok(()) => first.map_or(Ok(()), Err),
        }
    }
}

/// One place where a JSON text is not the expected value.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The place, such as `user.tags[1]`; empty for the whole text.
    pub path: String,
    /// The expected value; none where the text has an unknown field or element.
    pub expected: Option<Value>,
    /// The actual value; none where it is missing.
    pub actual: Option<Value>,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |value: &Value| shortened(&value.to_string(), VALUE_MAX_CHARS);
        let path = match self.path.as_str() {
            "" => "the whole value",
            path => path,
        };
        match (&self.expected, &self.actual) {
            (Some(expected), Some(actual)) => {
                let (expected, actual) = (short(expected), short(actual));
                write!(formatter, "{path}: expected {expected}, actual {actual}")
            }
            (Some(expected), None) => {
                write!(formatter, "{path}: missing, expected {}", short(expected))
            }
            (None, Some(actual)) => write!(formatter, "{path}: unexpected {}", short(actual)),
            (None, None) => formatter.write_str(path),
        }
    }
}

/// Returns every difference between the text and the value, unknown fields included.
///
/// # Errors
/// The text is not JSON.
pub fn differences(expected: &Value, text: &[u8]) -> serde_json::Result<Vec<Difference>> {
    let mut differences = Vec::new();
    let mut on_event = |event: Event<'_>| {
        if let Event::Difference {
            path,
            expected,
            actual,
        } = event
        {
            differences.push(Difference {
                path: path.to_string(),
                expected: expected.cloned(),
                actual,
            });
        }
    };
    walk(text, Some(expected), Unknown::Report, &mut on_event)?;
    Ok(differences)
}

/// Returns the fields of an object and of the objects in it, as `outer.inner`, in the order of the
/// text. Arrays are not looked into.
///
/// # Errors
/// The text is not JSON.
pub fn field_order(text: &[u8]) -> serde_json::Result<Vec<String>> {
    let mut fields = Vec::new();
    let mut on_event = |event: Event<'_>| {
        if let Event::Field(path) = event {
            fields.push(path.to_string());
        }
    };
    walk(text, None, Unknown::Report, &mut on_event)?;
    Ok(fields)
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

fn walk(
    text: &[u8],
    expected: Option<&Value>,
    unknown: Unknown,
    on_event: &mut dyn FnMut(Event<'_>),
) -> serde_json::Result<()> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let walk = Walk {
        expected,
        unknown,
        path: Path::Root,
        on_event,
    };
    walk.deserialize(&mut json)?;
    json.end()
}

/// An event of the walk through a text.
enum Event<'a> {
    /// A field of an object.
    Field(&'a Path<'a>),
    Difference {
        path: &'a Path<'a>,
        expected: Option<&'a Value>,
        actual: Option<Value>,
    },
}

/// The treatment of fields that the expected value lacks.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Unknown {
    Ignore,
    Report,
}

/// A place in the text, as a list on the stack: its name is made only where it is needed.
#[derive(Clone, Copy)]
enum Path<'a> {
    Root,
    Field(&'a Path<'a>, &'a str),
    Element(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => formatter.write_str(name),
            Self::Field(parent, name) => write!(formatter, "{parent}.{name}"),
            Self::Element(parent, index) => write!(formatter, "{parent}[{index}]"),
        }
    }
}

/// Reads one value of the text.
struct Walk<'a> {
    /// None where any value is right.
    expected: Option<&'a Value>,
    unknown: Unknown,
    path: Path<'a>,
    on_event: &'a mut dyn FnMut(Event<'_>),
}

impl Walk<'_> {
    fn differs(&mut self, actual: Value) {
        (self.on_event)(Event::Difference {
            path: &self.path,
            expected: self.expected,
            actual: Some(actual),
        });
    }

    fn scalar<E>(
        mut self,
        is_equal: impl Fn(&Value) -> bool,
        actual: impl Into<Value>,
    ) -> Result<(), E> {
        if !self.expected.is_none_or(is_equal) {
            self.differs(actual.into());
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.scalar(Value::is_null, Value::Null)
    }

    fn visit_bool<E>(self, actual: bool) -> Result<(), E> {
        self.scalar(|expected| expected.as_bool() == Some(actual), actual)
    }

    fn visit_u64<E>(self, actual: u64) -> Result<(), E> {
        self.scalar(|expected| expected.as_f64() == Some(actual as f64), actual)
    }

    fn visit_i64<E>(self, actual: i64) -> Result<(), E> {
        self.scalar(|expected| expected.as_f64() == Some(actual as f64), actual)
    }

    fn visit_f64<E>(self, actual: f64) -> Result<(), E> {
        self.scalar(|expected| expected.as_f64() == Some(actual), actual)
    }

    fn visit_str<E>(mut self, actual: &str) -> Result<(), E> {
        let is_equal = match self.expected {
            Some(Value::String(expected)) if expected == ANY_UUID_V4 => {
                parse_uuid_v4(actual).is_some()
            }
            Some(expected) => expected == actual,
            None => true,
        };
        if !is_equal {
            self.differs(actual.into());
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let elements = match self.expected {
            Some(Value::Array(elements)) => elements,
            Some(_) => {
                let actual = Value::deserialize(SeqAccessDeserializer::new(seq))?;
                self.differs(actual);
                return Ok(());
            }
            None => {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(());
            }
        };
        for (index, expected) in elements.iter().enumerate() {
            let path = Path::Element(&self.path, index);
            let walk = Walk {
                expected: Some(expected),
                unknown: self.unknown,
                path,
                on_event: self.on_event,
            };
            if seq.next_element_seed(walk)?.is_none() {
                (self.on_event)(Event::Difference {
                    path: &path,
                    expected: Some(expected),
                    actual: None,
                });
            }
        }
        let mut index = elements.len();
        while let Some(actual) = seq.next_element()? {
            (self.on_event)(Event::Difference {
                path: &Path::Element(&self.path, index),
                expected: None,
                actual: Some(actual),
            });
            index += 1;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let fields = match self.expected {
            Some(Value::Object(fields)) => Some(fields),
            Some(_) => {
                let actual = Value::deserialize(MapAccessDeserializer::new(map))?;
                self.differs(actual);
                return Ok(());
            }
            None => None,
        };
        // One bit a field: no expected value has more than 64.
        let mut seen: u64 = 0;
        let unknown = self.unknown;
        while let Some(name) = map.next_key_seed(NameSeed { fields, unknown })? {
            let (name, expected) = match &name {
                Name::Ignored => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
                Name::Known(index, name, expected) => {
                    seen |= 1 << index;
                    (*name, Some(*expected))
                }
                Name::Unknown(name) => (name.as_str(), None),
            };
            let path = Path::Field(&self.path, name);
            (self.on_event)(Event::Field(&path));
            if fields.is_some() && expected.is_none() {
                let actual = Some(map.next_value()?);
                (self.on_event)(Event::Difference {
                    path: &path,
                    expected,
                    actual,
                });
            } else {
                map.next_value_seed(Walk {
                    expected,
                    unknown,
                    path,
                    on_event: self.on_event,
                })?;
            }
        }
        for (index, (name, expected)) in fields.into_iter().flatten().enumerate() {
            if seen >> index & 1 == 0 {
                (self.on_event)(Event::Difference {
                    path: &Path::Field(&self.path, name),
                    expected: Some(expected),
                    actual: None,
                });
            }
        }
        Ok(())
    }
}

/// The name of a field in the text.
enum Name<'a> {
    /// The field's index, name and expected value.
    Known(usize, &'a str, &'a Value),
    Unknown(String),
    Ignored,
}

/// Reads the name of a field.
struct NameSeed<'a> {
    fields: Option<&'a Map<String, Value>>,
    unknown: Unknown,
}

impl<'a, 'de> DeserializeSeed<'de> for NameSeed<'a> {
    type Value = Name<'a>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Name<'a>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for NameSeed<'a> {
    type Value = Name<'a>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Name<'a>, E> {
        let mut fields = self.fields.into_iter().flatten().enumerate();
        Ok(match fields.find(|(_, (known, _))| *known == name) {
            Some((index, (known, expected))) => Name::Known(index, known, expected),
            None if self.unknown == Unknown::Ignore => Name::Ignored,
            None => Name::Unknown(name.to_owned()),
        })
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
