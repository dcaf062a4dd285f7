//! Expectations of a response.

use schema::ErrorCode;
use serde_json::Value;
use testbed::json::{Difference, differences, field_order, shortened};

use crate::client::Exchange;
use crate::verdict::{Failure, Verdict};

/// Longest body that a failure shows, in characters.
const BODY_MAX_CHARS: usize = 300;

/// Most differences that a failure shows.
const LINES_MAX: usize = 8;

impl Exchange {
    /// Fails this exchange.
    pub(crate) fn fail<T>(&self, expected: impl Into<String>) -> Verdict<T> {
        Err(self.failure(expected).into())
    }

    fn failure(&self, expected: impl Into<String>) -> Failure {
        Failure::of(&self.request, expected, self.actual())
    }

    /// Describes the response in one line.
    pub(crate) fn actual(&self) -> String {
        let body = match self.answer.text() {
            body if body.is_empty() => "an empty body".to_owned(),
            body => shortened(&body, BODY_MAX_CHARS),
        };
        format!("{} {body}", self.answer.status)
    }

    /// Fails unless the status is this one.
    pub(crate) fn has_status(&self, status: u16) -> Verdict<&Self> {
        match self.answer.status == status {
            true => Ok(self),
            false => self.fail(format!("status {status}")),
        }
    }

    /// Parses the body as JSON.
    pub(crate) fn json(&self) -> Verdict<Value> {
        let json = serde_json::from_slice(&self.answer.body);
        json.or_else(|error| self.fail(format!("a JSON body ({error})")))
    }

    /// Returns a field of a JSON object.
    pub(crate) fn field(&self, pointer: &str) -> Verdict<Value> {
        match self.json()?.pointer(pointer) {
            Some(field) => Ok(field.clone()),
            None => self.fail(format!("a JSON object with the field {}", dotted(pointer))),
        }
    }

    /// Fails unless the status is this one and the body is JSON of this value.
    pub(crate) fn is(&self, status: u16, expected: &Value) -> Verdict {
        self.has_status(status)?;
        let differences = differences(expected, &self.answer.body)
            .or_else(|error| self.fail(format!("a JSON body ({error})")))?;
        if differences.is_empty() {
            return Ok(());
        }
        let mut lines: Vec<_> = differences.iter().map(Difference::to_string).collect();
        if lines.len() > LINES_MAX {
            lines.truncate(LINES_MAX);
            lines.push(format!("and {} more", differences.len() - LINES_MAX));
        }
        let failure = self.failure(format!("{status} {expected}"));
        let difference = lines;
        Err(Failure {
            difference,
            ..failure
        }
        .into())
    }

    /// Fails unless the fields of the JSON object are these, in this order; `outer.inner` is a field of
    /// an object in it.
    pub(crate) fn has_fields_in_order(&self, expected: &str) -> Verdict {
        let actual = field_order(&self.answer.body).unwrap_or_default();
        if actual.iter().eq(expected.split(' ')) {
            return Ok(());
        }
        let expected = format!("the fields in this order: {expected}");
        Err(Failure::of(&self.request, expected, actual.join(" ")).into())
    }

    /// Fails unless this is the whole error of the contract: status, headers, and a body of the
    /// phrase and at most a detail.
    pub(crate) fn is_error(&self, code: ErrorCode) -> Verdict {
        self.is_error_with(code, None)
    }

    /// Fails unless this is the whole error of the contract with a detail that names `name`.
    pub(crate) fn is_error_naming(&self, code: ErrorCode, name: &str) -> Verdict {
        self.is_error_with(code, Some(name))
    }

    fn is_error_with(&self, code: ErrorCode, name: Option<&str>) -> Verdict {
        let expected = || {
            let detail = name.map(|name| format!(" and a detail that names {name}"));
            let detail = detail.unwrap_or_default();
            format!("{} {}{detail}", code.status(), code.body().to_json())
        };
        if self.answer.status != code.status() {
            return self.fail(expected());
        }
        self.is_json_typed()?;
        match code.status() {
            401 => self.has_header("www-authenticate", "Bearer", |value| value == "Bearer")?,
            503 => self.has_header("retry-after", "<whole number of seconds>", |value| {
                !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit())
            })?,
            _ => {}
        }
        let Ok(Value::Object(mut body)) = self.json() else {
            return self.fail(expected());
        };
        let is_detail = match (name, body.remove("detail")) {
            (None, None | Some(Value::String(_))) => true,
            (Some(name), Some(Value::String(detail))) => detail.contains(name),
            _ => false,
        };
        let is_phrase = body.remove("error") == Some(Value::from(code.phrase()));
        match is_phrase && is_detail && body.is_empty() {
            true => Ok(()),
            false => self.fail(expected()),
        }
    }

    /// Fails unless the content type is JSON, whatever its parameters.
    pub(crate) fn is_json_typed(&self) -> Verdict {
        self.has_header("content-type", "application/json", |value| {
            let essence = value.split(';').next().unwrap_or_default();
            essence.trim().eq_ignore_ascii_case("application/json")
        })
    }

    /// Fails unless the header comes once and its value is right.
    fn has_header(&self, name: &str, expected: &str, is_right: fn(&str) -> bool) -> Verdict {
        if self.answer.header(name).is_some_and(is_right) {
            return Ok(());
        }
        let headers = self.answer.headers.iter();
        let values: Vec<_> = headers
            .filter(|(header, _)| header == name)
            .map(|(header, value)| format!("{header}: {value}"))
            .collect();
        let actual = match values.is_empty() {
            true => format!("{} without {name}", self.answer.status),
            false => format!("{} with {}", self.answer.status, values.join(" and ")),
        };
        let expected = format!("the header {name}: {expected}");
        Err(Failure::of(&self.request, expected, actual).into())
    }
}

/// Writes a JSON pointer as `outer.inner`.
pub(crate) fn dotted(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}
