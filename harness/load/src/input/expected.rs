//! What a right answer is, compared while it is read: nothing of the answer is kept, and nothing is
//! allocated unless a text has escapes.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use uuid::{Uuid, Variant};

/// What is said of a body that cannot be read.
const NO_JSON: &str = "body: not JSON";

/// A right answer. The order of fields and white space do not count, numbers are equal if their
/// values are, and fields that the contract does not know are ignored.
#[derive(Clone, Debug)]
pub struct Expected {
    /// A header that must be there, its name in lower case.
    pub header: Option<&'static str>,
    body: Part,
}

/// A value of the body.
#[derive(Clone, Debug)]
struct Part {
    /// What is said if it is another: its place in the body.
    wrong: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Null,
    Flag(bool),
    Number(f64),
    Text(String),
    /// A UUID v4 (RFC 9562, 5.4) in its canonical form.
    FreshId,
    List(Vec<Part>),
    /// At most 64 fields: those that came are marked in a word.
    Object(Vec<(String, Part)>),
}

impl Expected {
    /// A body of this value.
    pub fn body(value: &Value) -> Self {
        Self {
            header: None,
            body: Part::of("", value),
        }
    }

    /// With this header, whatever its value.
    pub fn with_header(self, name: &'static str) -> Self {
        Self {
            header: Some(name),
            ..self
        }
    }

    /// With a field `id` that is fresh for each answer.
    pub fn with_fresh_id(mut self) -> Self {
        if let Kind::Object(fields) = &mut self.body.kind {
            let part = Part {
                wrong: "body: id".to_owned(),
                kind: Kind::FreshId,
            };
            fields.push(("id".to_owned(), part));
        }
        self
    }

    /// Whether the body is right.
    ///
    /// # Errors
    /// What is wrong with it, such as `body: user.name`: the first such place.
    pub fn check(&self, body: &[u8]) -> Result<(), &str> {
        let mut wrong = None;
        let mut json = serde_json::Deserializer::from_slice(body);
        let look = Look {
            part: &self.body,
            wrong: &mut wrong,
        };
        let read = look.deserialize(&mut json).and_then(|()| json.end());
        match (read, wrong) {
            (Err(_), _) => Err(NO_JSON),
            (Ok(()), Some(wrong)) => Err(wrong),
            (Ok(()), None) => Ok(()),
        }
    }
}

impl Part {
    fn of(place: &str, value: &Value) -> Self {
        let kind = match value {
            Value::Null => Kind::Null,
            Value::Bool(flag) => Kind::Flag(*flag),
            Value::Number(number) => Kind::Number(number.as_f64().unwrap_or(f64::NAN)),
            Value::String(text) => Kind::Text(text.clone()),
            Value::Array(values) => {
                let parts = values.iter().enumerate();
                Kind::List(
                    parts
                        .map(|(index, value)| Self::of(&format!("{place}[{index}]"), value))
                        .collect(),
                )
            }
            Value::Object(fields) => {
                let parts = fields.iter().map(|(name, value)| {
                    let place = match place {
                        "" => name.clone(),
                        place => format!("{place}.{name}"),
                    };
                    (name.clone(), Self::of(&place, value))
                });
                Kind::Object(parts.collect())
            }
        };
        let wrong = match place {
            "" => "body: not an object".to_owned(),
            place => format!("body: {place}"),
        };
        Self { wrong, kind }
    }
}

/// Reads a value and looks whether it is the expected one.
struct Look<'e, 'w> {
    part: &'e Part,
    wrong: &'w mut Option<&'e str>,
}

impl Look<'_, '_> {
    fn judge<E>(self, right: bool) -> Result<(), E> {
        if !right {
            self.wrong.get_or_insert(&self.part.wrong);
        }
        Ok(())
    }

    fn number<E>(self, came: f64) -> Result<(), E> {
        let right = matches!(self.part.kind, Kind::Number(number) if equal(number, came));
        self.judge(right)
    }
}

/// Whether two numbers are equal as far as serde_json reads them: a number of more digits than a
/// double holds may be off by its last bit.
fn equal(expected: f64, came: f64) -> bool {
    (expected - came).abs() <= expected.abs() * f64::EPSILON
}

fn is_uuid_v4(text: &str) -> bool {
    /// Of the canonical form, the only one of this length.
    const LENGTH: usize = 36;
    text.len() == LENGTH
        && Uuid::try_parse(text)
            .is_ok_and(|id| id.get_version_num() == 4 && id.get_variant() == Variant::RFC4122)
}

impl<'de> DeserializeSeed<'de> for Look<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        let right = matches!(self.part.kind, Kind::Null);
        self.judge(right)
    }

    fn visit_bool<E>(self, came: bool) -> Result<(), E> {
        let right = matches!(self.part.kind, Kind::Flag(flag) if flag == came);
        self.judge(right)
    }

    fn visit_u64<E>(self, came: u64) -> Result<(), E> {
        self.number(came as f64)
    }

    fn visit_i64<E>(self, came: i64) -> Result<(), E> {
        self.number(came as f64)
    }

    fn visit_f64<E>(self, came: f64) -> Result<(), E> {
        self.number(came)
    }

    fn visit_str<E>(self, came: &str) -> Result<(), E> {
        let right = match &self.part.kind {
            Kind::Text(text) => text == came,
            Kind::FreshId => is_uuid_v4(came),
            _ => false,
        };
        self.judge(right)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let parts = match &self.part.kind {
            Kind::List(parts) => parts.as_slice(),
            _ => &[],
        };
        for part in parts {
            let look = Look {
                part,
                wrong: &mut *self.wrong,
            };
            if seq.next_element_seed(look)?.is_none() {
                self.wrong.get_or_insert(&part.wrong);
            }
        }
        let mut right = matches!(self.part.kind, Kind::List(_));
        while seq.next_element::<IgnoredAny>()?.is_some() {
            right = false;
        }
        self.judge(right)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let parts = match &self.part.kind {
            Kind::Object(parts) => parts.as_slice(),
            _ => &[],
        };
        let mut came: u64 = 0;
        while let Some(index) = map.next_key_seed(Name(parts))? {
            if let Some(index) = index {
                came |= 1 << index;
                map.next_value_seed(Look {
                    part: &parts[index].1,
                    wrong: &mut *self.wrong,
                })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        let missing = (0..parts.len()).find(|index| came >> index & 1 == 0);
        if let Some(index) = missing {
            self.wrong.get_or_insert(&parts[index].1.wrong);
        }
        let right = matches!(self.part.kind, Kind::Object(_));
        self.judge(right)
    }
}

/// Reads a field's name: its index, if it is expected.
struct Name<'e>(&'e [(String, Part)]);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a field's name")
    }

    fn visit_str<E>(self, came: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|(name, _)| name == came))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn expected() -> Expected {
        Expected::body(&json!({
            "name": "a\"b", "rating": 8.0, "ratio": 3.7, "ok": true, "none": null,
            "tags": ["x", "y"], "user": {"id": "u"},
        }))
    }

    const RIGHT: &str = r#"{"name":"a\"b","rating":8.0,"ratio":3.7,"ok":true,"none":null,"tags":["x","y"],"user":{"id":"u"}}"#;

    #[test]
    fn order_white_space_and_the_form_of_numbers_and_texts_do_not_count() {
        assert_eq!(expected().check(RIGHT.as_bytes()), Ok(()));
        let other = r#" { "user": {"more": [1, {}], "id": "\u0075"}, "tags": ["x", "y"], "more": 1,
            "none": null, "ok": true, "ratio": 3.7000000000000002, "rating": 8,
            "name": "\u0061\"b" } "#;
        assert_eq!(expected().check(other.as_bytes()), Ok(()));
    }

    #[test]
    fn the_first_place_that_is_wrong_is_named() {
        for (right, wrong, said) in [
            (r#""a\"b""#, r#""ab""#, "body: name"),
            (r#""a\"b""#, "7", "body: name"),
            ("8.0", "8.1", "body: rating"),
            ("8.0", r#""8.0""#, "body: rating"),
            ("3.7", "3.7000000001", "body: ratio"),
            ("true", "false", "body: ok"),
            (r#""none":null,"#, "", "body: none"),
            (r#"["x","y"]"#, r#"["x"]"#, "body: tags[1]"),
            (r#"["x","y"]"#, r#"["y","x"]"#, "body: tags[0]"),
            (r#"["x","y"]"#, r#"["x","y","z"]"#, "body: tags"),
            (r#"{"id":"u"}"#, r#"["u"]"#, "body: user"),
            (r#"{"id":"u"}"#, "{}", "body: user.id"),
            (r#"{"id":"u"}"#, r#"{"id":null}"#, "body: user.id"),
            (RIGHT, "[]", "body: not an object"),
            (RIGHT, "", "body: not JSON"),
            (RIGHT, &RIGHT[..RIGHT.len() - 1], "body: not JSON"),
            (RIGHT, &format!("{RIGHT}}}"), "body: not JSON"),
        ] {
            let came = RIGHT.replace(right, wrong);
            assert_eq!(expected().check(came.as_bytes()), Err(said), "{came}");
        }
    }

    #[test]
    fn a_fresh_id_is_any_uuid_v4() {
        let expected = Expected::body(&json!({})).with_fresh_id();
        let check = |id: &str| {
            expected
                .check(json!({"id": id}).to_string().as_bytes())
                .is_ok()
        };
        assert!(check("8f14e45f-ceea-467f-a4b4-6e4c1b5ad2b0"));
        assert!(check("8F14E45F-CEEA-467F-A4B4-6E4C1B5AD2B0"));
        assert!(!check("8f14e45f-ceea-167f-a4b4-6e4c1b5ad2b0"), "version 1");
        assert!(!check("8f14e45f-ceea-467f-04b4-6e4c1b5ad2b0"), "no variant");
        assert!(!check("8f14e45fceea467fa4b46e4c1b5ad2b0"), "not canonical");
        assert!(!check(""));
        assert_eq!(expected.check(b"{}"), Err("body: id"));
    }
}
