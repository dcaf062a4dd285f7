//! The responses of an operation: its success with an example, and one reusable response for each row of
//! the error table.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::limits::{
    DB_ACQUIRE_TIMEOUT, DB_STATEMENT_TIMEOUT, JSON_DEPTH_MAX, REQUEST_BODY_MAX_BYTES,
    REQUEST_BODY_TIMEOUT, RETRY_AFTER_SECS, UPSTREAM_BODY_MAX_BYTES, UPSTREAM_CALL_TIMEOUT,
    UPSTREAM_CONNECT_TIMEOUT,
};
use crate::{ErrorBody, ErrorCode, NewMovie, fixtures, json};

/// Returns a fixture as the document shows it.
pub(super) fn example(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("the wire types serialise")
}

/// Returns the upstream's product.
pub(super) fn product() -> Value {
    serde_json::from_str(fixtures::PRODUCT_JSON).expect("the product is JSON")
}

/// Returns the responses of an operation by status: its successes and its errors.
pub(super) fn by_status<const N: usize>(
    successes: [(&str, Value); N],
    errors: &[ErrorCode],
) -> Value {
    let successes = successes.map(|(status, response)| (status.to_owned(), response));
    let errors = errors.iter().map(|code| {
        let reference = format!("#/components/responses/{code:?}");
        (code.status().to_string(), json!({ "$ref": reference }))
    });
    let responses: BTreeMap<_, _> = successes.into_iter().chain(errors).collect();
    json!(responses)
}

/// Returns a reference to the schema of `T`.
pub(super) fn reference<T: ToSchema>() -> Value {
    json!({ "$ref": format!("#/components/schemas/{}", T::name()) })
}

/// Returns a response with a `T` as JSON.
pub(super) fn body<T: ToSchema>(description: &str, example: &Value) -> Value {
    json!({ "description": description, "content": content::<T>(example) })
}

/// Returns a response with one header, and a `T` as JSON.
pub(super) fn body_with_header<T: ToSchema>(
    description: &str,
    (name, header): (&str, &Value),
    example: &Value,
) -> Value {
    json!({
        "description": description,
        "headers": { (name): header },
        "content": content::<T>(example),
    })
}

/// Returns a response with the text `ok`.
pub(super) fn ok(description: &str) -> Value {
    let schema = json!({ "type": "string", "enum": ["ok"] });
    json!({
        "description": description,
        "content": { "text/plain": { "schema": schema, "example": "ok" } },
    })
}

fn content<T: ToSchema>(example: &Value) -> Value {
    json!({ "application/json": { "schema": reference::<T>(), "example": example } })
}

/// Returns the reusable response of a row of the error table.
pub(super) fn component(code: ErrorCode) -> Value {
    let header = |r#type, description, example: Value| {
        json!({
            "schema": { "type": r#type },
            "description": description,
            "example": example,
            "required": true,
        })
    };
    let header = match code.status() {
        401 => {
            let scheme = header(
                "string",
                "The scheme to authenticate with.",
                json!("Bearer"),
            );
            ("WWW-Authenticate", scheme)
        }
        405 => {
            let methods = header("string", "The methods of the path.", json!("GET, HEAD"));
            ("Allow", methods)
        }
        503 => {
            let seconds = header("integer", "Seconds to wait.", json!(RETRY_AFTER_SECS));
            ("Retry-After", seconds)
        }
        _ => return body::<ErrorBody<'_>>(&condition(code), &example(&error_body(code))),
    };
    body_with_header::<ErrorBody<'_>>(
        &condition(code),
        (header.0, &header.1),
        &example(&error_body(code)),
    )
}

/// Returns the body of an error, with a detail where the services give one.
fn error_body(code: ErrorCode) -> ErrorBody<'static> {
    let detail = match code {
        ErrorCode::InvalidBody => json::from_slice::<NewMovie<'_>>(br#"{"year":"2010"}"#)
            .err()
            .map(|rejection| rejection.to_string().into()),
        ErrorCode::NotReady => Some(ErrorCode::DatabaseUnavailable.phrase().into()),
        _ => None,
    };
    ErrorBody {
        detail,
        ..code.body()
    }
}

/// Returns the condition under which a service answers with this row.
fn condition(code: ErrorCode) -> String {
    let fixed = match code {
        ErrorCode::InvalidToken => {
            "No valid token: missing, malformed, badly signed, of another algorithm, expired, not \
             yet valid, or given twice. Checked before the body is read."
        }
        ErrorCode::InvalidApiKey => "The API key is missing or wrong.",
        ErrorCode::InvalidBody => {
            "The body is JSON that does not fit: not an object, or a field is missing, given \
             twice, of the wrong type or out of range. The detail names the field."
        }
        ErrorCode::UnsupportedMediaType => "The content type is not JSON, missing, or given twice.",
        ErrorCode::NotFound => "Unknown path.",
        ErrorCode::MethodNotAllowed => "Known path, other method.",
        ErrorCode::UserNotFound => "The token is valid, but no such user exists.",
        ErrorCode::NotReady => "Postgres or the upstream does not answer. The detail names which.",
        ErrorCode::Internal => "Anything unforeseen.",
        ErrorCode::MalformedBody => {
            return format!(
                "The body is not one JSON text: bad syntax, empty, invalid UTF-8, trailing data, \
                 or nested deeper than {JSON_DEPTH_MAX}."
            );
        }
        ErrorCode::BodyTooLarge => {
            let max_kib = REQUEST_BODY_MAX_BYTES / 1024;
            return format!("The body is longer than {max_kib} KiB.");
        }
        ErrorCode::RequestTimeout => {
            return format!("The body did not arrive within {REQUEST_BODY_TIMEOUT:?}.");
        }
        ErrorCode::UpstreamUnavailable => {
            let max_kib = UPSTREAM_BODY_MAX_BYTES / 1024;
            return format!(
                "The upstream refused or reset the connection, redirected, answered with another \
                 status than 200, with what is not a product, or with more than {max_kib} KiB."
            );
        }
        ErrorCode::UpstreamTimeout => {
            return format!(
                "The upstream took longer than {UPSTREAM_CONNECT_TIMEOUT:?} to connect or \
                 {UPSTREAM_CALL_TIMEOUT:?} altogether."
            );
        }
        ErrorCode::DatabaseUnavailable => {
            return format!(
                "The database is down, no connection was free within {DB_ACQUIRE_TIMEOUT:?}, or \
                 the statement took longer than {DB_STATEMENT_TIMEOUT:?}."
            );
        }
    };
    fixed.to_owned()
}
