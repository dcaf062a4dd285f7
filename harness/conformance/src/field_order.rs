//! The fields of a JSON text in the order they stand there.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The fields of a JSON object and of the objects in it, `outer.inner`, in the order of the text;
/// none if it is no JSON.
pub(super) fn fields(json: &[u8]) -> Option<Vec<String>> {
    let mut fields = Vec::new();
    let walk = Walk {
        path: String::new(),
        fields: &mut fields,
    };
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    walk.deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    Some(fields)
}

struct Walk<'a> {
    path: String,
    fields: &'a mut Vec<String>,
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
        formatter.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let path = match self.path.as_str() {
                "" => name,
                outer => format!("{outer}.{name}"),
            };
            self.fields.push(path.clone());
            map.next_value_seed(Walk {
                path,
                fields: self.fields,
            })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_named_in_the_order_of_the_text() {
        let json = br#"{"b":1,"a":{"d":"x","c":null},"e":[{"f":true}],"g":-1.5}"#;
        let expected = ["b", "a", "a.d", "a.c", "e", "g"].map(str::to_owned);
        assert_eq!(fields(json).unwrap(), expected);
    }

    #[test]
    fn what_is_no_json_has_none() {
        assert_eq!(fields(b"{\"a\":1"), None);
        assert_eq!(fields(b"{} {}"), None);
    }
}
