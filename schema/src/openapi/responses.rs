//! What an operation answers: its success with an example, and one reusable response for each row
//! of the error table.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use utoipa::openapi::{
    Content, ContentBuilder, Header, HeaderBuilder, Ref, RefOr, Response, ResponseBuilder, Schema,
};

use super::reference;
use crate::limits::{
    DB_ACQUIRE_TIMEOUT, DB_STATEMENT_TIMEOUT, JSON_DEPTH_MAX, REQUEST_BODY_MAX_BYTES,
    REQUEST_BODY_TIMEOUT, RETRY_AFTER_SECS, UPSTREAM_BODY_MAX_BYTES, UPSTREAM_CALL_TIMEOUT,
    UPSTREAM_CONNECT_TIMEOUT,
};
use crate::{ErrorBody, ErrorCode, NewMovie, fixtures, json};

pub(super) const JSON: &str = "application/json";
const TEXT: &str = "text/plain";

/// The value as the document shows it.
pub(super) fn example(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("the wire types serialise")
}

/// The upstream's product.
pub(super) fn product() -> Value {
    serde_json::from_str(fixtures::PRODUCT_JSON).expect("the product is JSON")
}

/// An answer with a `T` as JSON.
pub(super) fn json<T: ToSchema>(description: impl Into<String>, example: Value) -> ResponseBuilder {
    let content = ContentBuilder::new()
        .schema(Some(reference::<T>()))
        .example(Some(example));
    ResponseBuilder::new()
        .description(description)
        .content(JSON, content)
}

/// An answer with the text `ok`.
pub(super) fn ok(description: &str) -> ResponseBuilder {
    let text = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(["ok"]));
    let content: Content = ContentBuilder::new()
        .schema(Some(text))
        .example(Some("ok".into()))
        .build();
    ResponseBuilder::new()
        .description(description)
        .content(TEXT, content)
}

/// A header that every such answer carries.
pub(super) fn header(
    description: &str,
    schema: impl Into<RefOr<Schema>>,
    example: impl Into<Value>,
) -> Header {
    HeaderBuilder::new()
        .description(Some(description))
        .schema(Some(schema))
        .example(Some(example.into()))
        // utoipa's headers have no field for the specification's `required`.
        .extensions(Some(Extensions::from_iter([("required", true)])))
        .build()
}

/// The status of a row of the error table, and the reference to its [`component`].
pub(super) fn error(code: ErrorCode) -> (String, Ref) {
    let name = format!("{code:?}");
    (code.status().to_string(), Ref::from_response_name(name))
}

/// The reusable response of a row of the error table.
pub(super) fn component(code: ErrorCode) -> Response {
    let response = json::<ErrorBody<'_>>(condition(code), example(&error_body(code)));
    match code {
        ErrorCode::InvalidToken | ErrorCode::InvalidApiKey => {
            let scheme = Object::with_type(Type::String);
            let header = header("The scheme to authenticate with.", scheme, "Bearer");
            response.header("WWW-Authenticate", header)
        }
        ErrorCode::MethodNotAllowed => {
            let methods = Object::with_type(Type::String);
            let header = header("The methods of the path.", methods, "GET, HEAD");
            response.header("Allow", header)
        }
        ErrorCode::DatabaseUnavailable | ErrorCode::NotReady => {
            let seconds = Object::with_type(Type::Integer);
            let header = header("Seconds to wait.", seconds, RETRY_AFTER_SECS);
            response.header("Retry-After", header)
        }
        _ => response,
    }
    .build()
}

/// The body, with a detail where the services give one.
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

/// When a service answers with this row.
fn condition(code: ErrorCode) -> String {
    match code {
        ErrorCode::InvalidToken => "No valid token: missing, malformed, badly signed, of another \
             algorithm, expired, not yet valid, or given twice. Checked before the body is read."
            .to_owned(),
        ErrorCode::InvalidApiKey => "The API key is missing or wrong.".to_owned(),
        ErrorCode::MalformedBody => format!(
            "The body is not one JSON text: bad syntax, empty, invalid UTF-8, trailing data, or \
             nested deeper than {JSON_DEPTH_MAX}."
        ),
        ErrorCode::InvalidBody => "The body is JSON that does not fit: not an object, or a field \
             is missing, given twice, of the wrong type or out of range. The detail names the \
             field."
            .to_owned(),
        ErrorCode::UnsupportedMediaType => {
            "The content type is not JSON, missing, or given twice.".to_owned()
        }
        ErrorCode::BodyTooLarge => {
            let max_kib = REQUEST_BODY_MAX_BYTES / 1024;
            format!("The body is longer than {max_kib} KiB.")
        }
        ErrorCode::RequestTimeout => {
            format!("The body did not arrive within {REQUEST_BODY_TIMEOUT:?}.")
        }
        ErrorCode::NotFound => "Unknown path.".to_owned(),
        ErrorCode::MethodNotAllowed => "Known path, other method.".to_owned(),
        ErrorCode::UserNotFound => "The token is valid, but no such user exists.".to_owned(),
        ErrorCode::UpstreamUnavailable => format!(
            "The upstream refused or reset the connection, redirected, answered with another \
             status than 200, with what is not a product, or with more than {} KiB.",
            UPSTREAM_BODY_MAX_BYTES / 1024
        ),
        ErrorCode::UpstreamTimeout => format!(
            "The upstream took longer than {UPSTREAM_CONNECT_TIMEOUT:?} to connect or \
             {UPSTREAM_CALL_TIMEOUT:?} altogether."
        ),
        ErrorCode::DatabaseUnavailable => format!(
            "The database is down, no connection was free within {DB_ACQUIRE_TIMEOUT:?}, or the \
             statement took longer than {DB_STATEMENT_TIMEOUT:?}."
        ),
        ErrorCode::NotReady => {
            "Postgres or the upstream does not answer. The detail names which.".to_owned()
        }
        ErrorCode::Internal => "Anything unforeseen.".to_owned(),
    }
}
