//! Where two JSON values differ, a line for each place.

use serde_json::Value;

/// Most lines of a difference.
const LINES_MAX: usize = 8;

/// Longest text of a value in a line, in characters.
const VALUE_MAX_CHARS: usize = 120;

/// The places where `came` is not `expected`; empty if they are equal. Numbers are equal if their
/// values are, however they are written (8 and 8.0); the order of fields does not count.
pub(crate) fn difference(expected: &Value, came: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    walk("", expected, came, &mut lines);
    if lines.len() > LINES_MAX {
        let more = lines.len() - LINES_MAX;
        lines.truncate(LINES_MAX);
        lines.push(format!("and {more} more"));
    }
    lines
}

fn walk(path: &str, expected: &Value, came: &Value, lines: &mut Vec<String>) {
    let place = || match path {
        "" => "the whole".to_owned(),
        path => path.to_owned(),
    };
    match (expected, came) {
        (Value::Object(wanted), Value::Object(found)) => {
            let inner = |name: &str| match path {
                "" => name.to_owned(),
                path => format!("{path}.{name}"),
            };
            for (name, value) in wanted {
                match found.get(name) {
                    Some(other) => walk(&inner(name), value, other, lines),
                    None => lines.push(format!(
                        "{}: missing, expected {}",
                        inner(name),
                        short(value)
                    )),
                }
            }
            for (name, value) in found.iter().filter(|(name, _)| !wanted.contains_key(*name)) {
                lines.push(format!("{}: {} is too much", inner(name), short(value)));
            }
        }
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            for (index, (value, other)) in wanted.iter().zip(found).enumerate() {
                walk(&format!("{path}[{index}]"), value, other, lines);
            }
        }
        (Value::Number(wanted), Value::Number(found)) if wanted.as_f64() == found.as_f64() => {}
        (wanted, found) if wanted == found => {}
        (wanted, found) => lines.push(format!(
            "{}: expected {}, came {}",
            place(),
            short(wanted),
            short(found)
        )),
    }
}

/// A value as JSON, cut where it is long.
fn short(value: &Value) -> String {
    cut(&value.to_string(), VALUE_MAX_CHARS)
}

/// A text, cut where it has more characters.
pub(crate) fn cut(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_of_one_value_and_fields_in_any_order_are_equal() {
        let left = json!({"a": 8, "b": [1.5, {"c": null}]});
        let right = json!({"b": [1.5, {"c": null}], "a": 8.0});
        assert_eq!(difference(&left, &right), Vec::<String>::new());
    }

    #[test]
    fn every_place_has_its_line() {
        let expected = json!({"a": 1, "b": {"c": "x"}, "d": [1, 2], "e": true});
        let came = json!({"a": 2, "b": {"c": "y", "f": 0}, "d": [1, 3]});
        assert_eq!(
            difference(&expected, &came),
            [
                "a: expected 1, came 2",
                r#"b.c: expected "x", came "y""#,
                "b.f: 0 is too much",
                "d[1]: expected 2, came 3",
                "e: missing, expected true",
            ]
        );
    }

    #[test]
    fn what_is_another_kind_of_value_is_said_once() {
        assert_eq!(
            difference(&json!({"a": 1}), &json!([])),
            [r#"the whole: expected {"a":1}, came []"#]
        );
        assert_eq!(
            difference(&json!([1]), &json!([1, 2])),
            ["the whole: expected [1], came [1,2]"]
        );
    }

    #[test]
    fn long_differences_are_cut() {
        let many: Vec<u8> = (0..20).collect();
        let other: Vec<u8> = (1..21).collect();
        let lines = difference(&json!(many), &json!(other));
        assert_eq!(lines.len(), LINES_MAX + 1);
        assert_eq!(lines[LINES_MAX], "and 12 more");
    }
}
