//! What is expected of an answer.

use schema::ErrorCode;
use serde_json::Value;

use super::client::Exchange;
use super::verdict::Failure;
use testbed::json::{Difference, differences, shortened};

/// Longest body that a failure shows, in characters.
const BODY_MAX_CHARS: usize = 300;

/// Most differences that a failure shows.
const LINES_MAX: usize = 8;

impl Exchange {
    /// The failure of this exchange.
    pub fn failure(&self, expected: impl Into<String>) -> Failure {
        Failure::of(&self.request, expected, self.came())
    }

    /// What came, in one line.
    pub fn came(&self) -> String {
        let body = match self.answer.text() {
            body if body.is_empty() => "an empty body".to_owned(),
            body => shortened(&body, BODY_MAX_CHARS),
        };
        format!("{} {body}", self.answer.status)
    }

    /// Fails unless the status is this one.
    pub fn has_status(&self, status: u16) -> Result<&Self, Failure> {
        if self.answer.status == status {
            return Ok(self);
        }
        Err(self.failure(format!("status {status}")))
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Value, Failure> {
        serde_json::from_slice(&self.answer.body)
            .map_err(|error| self.failure(format!("a JSON body ({error})")))
    }

    /// A field of a JSON object.
    pub fn field(&self, pointer: &str) -> Result<Value, Failure> {
        let field = self.json()?.pointer(pointer).cloned();
        field.ok_or_else(|| {
            let name = pointer.trim_start_matches('/').replace('/', ".");
            self.failure(format!("a JSON object with the field {name}"))
        })
    }

    /// Fails unless the status is this one and the body is JSON of this value.
    pub fn is(&self, status: u16, expected: &Value) -> Result<(), Failure> {
        self.has_status(status)?;
        let differences = differences(expected, &self.answer.body)
            .map_err(|error| self.failure(format!("a JSON body ({error})")))?;
        if differences.is_empty() {
            return Ok(());
        }
        let mut lines: Vec<_> = differences.iter().map(Difference::to_string).collect();
        if lines.len() > LINES_MAX {
            lines.truncate(LINES_MAX);
            lines.push(format!("and {} more", differences.len() - LINES_MAX));
        }
        Err(self
            .failure(format!("{status} {expected}"))
            .differing(lines))
    }

    /// Fails unless this is the whole error of the contract: status, headers, and a body of the
    /// phrase and at most a detail.
    pub fn is_error(&self, code: ErrorCode) -> Result<(), Failure> {
        self.is_error_with(code, None)
    }

    /// As [`Exchange::is_error`], with a detail that names this.
    pub fn is_error_naming(&self, code: ErrorCode, name: &str) -> Result<(), Failure> {
        self.is_error_with(code, Some(name))
    }

    fn is_error_with(&self, code: ErrorCode, name: Option<&str>) -> Result<(), Failure> {
        let whole = || {
            let detail = name.map_or_else(String::new, |name| {
                format!(" and a detail that names {name}")
            });
            format!("{} {}{detail}", code.status(), code.body().to_json())
        };
        if self.answer.status != code.status() {
            return Err(self.failure(whole()));
        }
        self.is_json_typed()?;
        match code.status() {
            401 => self.has_header("www-authenticate", "Bearer")?,
            503 => self.has_whole_number("retry-after")?,
            _ => {}
        }
        let Ok(Value::Object(mut body)) = self.json() else {
            return Err(self.failure(whole()));
        };
        let detail = body.remove("detail");
        let detail_fits = match (name, &detail) {
            (None, None | Some(Value::String(_))) => true,
            (Some(name), Some(Value::String(detail))) => detail.contains(name),
            _ => false,
        };
        let phrase_fits = body.remove("error") == Some(Value::from(code.phrase()));
        if !phrase_fits || !detail_fits || !body.is_empty() {
            return Err(self.failure(whole()));
        }
        Ok(())
    }

    /// Fails unless the header has this value, once.
    pub fn has_header(&self, name: &str, value: &str) -> Result<(), Failure> {
        if self.answer.header(name) == Some(value) {
            return Ok(());
        }
        Err(self.header_failure(name, &format!("{name}: {value}")))
    }

    /// Fails unless the content type is JSON, whatever its parameters.
    pub fn is_json_typed(&self) -> Result<(), Failure> {
        let value = self.answer.header("content-type").unwrap_or_default();
        let essence = value.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("application/json") {
            return Ok(());
        }
        Err(self.header_failure("content-type", "content-type: application/json"))
    }

    fn has_whole_number(&self, name: &str) -> Result<(), Failure> {
        let value = self.answer.header(name).unwrap_or_default();
        if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(());
        }
        Err(self.header_failure(name, &format!("{name}: <whole number of seconds>")))
    }

    fn header_failure(&self, name: &str, expected: &str) -> Failure {
        let headers = self.answer.headers.iter();
        let values: Vec<_> = headers
            .filter(|(header, _)| header == name)
            .map(|(header, value)| format!("{header}: {value}"))
            .collect();
        let came = match values.is_empty() {
            true => format!("{} without {name}", self.answer.status),
            false => format!("{} with {}", self.answer.status, values.join(" and ")),
        };
        Failure::of(&self.request, format!("the header {expected}"), came)
    }
}
