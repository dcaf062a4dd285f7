//! Bodies and headers of the answers, each with an example.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, Header, HeaderBuilder, Ref, Response, ResponseBuilder};

use super::reference;
use crate::json::{self, Rejection};
use crate::{ErrorBody, ErrorCode, NewMovie, fixtures, limits};

pub(super) const JSON: &str = "application/json";
const TEXT: &str = "text/plain";

/// A wire value as an example.
pub(super) fn example(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("wire types serialise")
}

/// The product as an example.
pub(super) fn product() -> Value {
    serde_json::from_str(fixtures::PRODUCT_JSON).expect("the product file is JSON")
}

/// An answer with JSON of the schema `T`.
pub(super) fn json<T: ToSchema>(description: &str, example: Value) -> ResponseBuilder {
    let content = ContentBuilder::new()
        .schema(Some(reference::<T>()))
        .example(Some(example));
    ResponseBuilder::new()
        .description(description)
        .content(JSON, content)
}

/// The plain text `ok`.
pub(super) fn ok(description: &str) -> ResponseBuilder {
    let content = ContentBuilder::new()
        .schema(Some(string()))
        .example(Some("ok".into()));
    ResponseBuilder::new()
        .description(description)
        .content(TEXT, content)
}

/// A header that every such answer carries.
pub(super) fn header(
    description: &str,
    schema: ObjectBuilder,
    example: impl Into<Value>,
) -> Header {
    HeaderBuilder::new()
        .description(Some(description))
        .schema(Some(schema))
        .example(Some(example.into()))
        .build()
}

fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// The error's status, and the reference to its reusable response.
pub(super) fn error(code: ErrorCode) -> (String, Ref) {
    let reference = Ref::from_response_name(error_name(code));
    (code.status().to_string(), reference)
}

/// The reusable response of every error, by its name: `NotFound`.
pub(super) fn errors() -> impl Iterator<Item = (String, Response)> {
    ErrorCode::ALL
        .into_iter()
        .map(|code| (error_name(code), error_response(code)))
}

fn error_name(code: ErrorCode) -> String {
    format!("{code:?}")
}

fn error_response(code: ErrorCode) -> Response {
    let body = ErrorBody {
        detail: detail(code).map(Into::into),
        ..code.body()
    };
    let response = json::<ErrorBody<'_>>(&meaning(code), example(&body));
    match code {
        ErrorCode::InvalidToken | ErrorCode::InvalidApiKey => response.header(
            "WWW-Authenticate",
            header("The scheme that is asked for.", string(), "Bearer"),
        ),
        ErrorCode::DatabaseUnavailable | ErrorCode::NotReady => {
            let seconds = ObjectBuilder::new()
                .schema_type(Type::Integer)
                .minimum(Some(0));
            response.header(
                "Retry-After",
                header(
                    "Seconds until it is worth another try.",
                    seconds,
                    limits::RETRY_AFTER_SECS,
                ),
            )
        }
        ErrorCode::MethodNotAllowed => response.header(
            "Allow",
            header("The methods that the path knows.", string(), "GET, HEAD"),
        ),
        _ => response,
    }
    .build()
}

/// The detail of an error that has one, as the code that words it words it.
fn detail(code: ErrorCode) -> Option<String> {
    match code {
        ErrorCode::InvalidBody => match json::from_slice::<NewMovie<'_>>(b"{}") {
            Err(Rejection::Invalid { detail }) => Some(detail),
            _ => None,
        },
        ErrorCode::NotReady => Some(ErrorCode::DatabaseUnavailable.phrase().to_owned()),
        _ => None,
    }
}

/// When the error is the answer.
fn meaning(code: ErrorCode) -> String {
    match code {
        ErrorCode::InvalidToken => {
            "The token is missing, malformed, badly signed or expired, or a claim is wrong."
                .to_owned()
        }
        ErrorCode::InvalidApiKey => "The key is missing or wrong.".to_owned(),
        ErrorCode::MalformedBody => format!(
            "The body is not JSON: syntax, empty, invalid UTF-8, trailing data, or nested deeper \
             than {}.",
            limits::JSON_DEPTH_MAX
        ),
        ErrorCode::InvalidBody => "The body is JSON that does not fit: a missing field, a wrong \
             type, a known field twice, a number out of range. The detail names the field."
            .to_owned(),
        ErrorCode::UnsupportedMediaType => {
            "The content type is not JSON, missing, or given twice.".to_owned()
        }
        ErrorCode::BodyTooLarge => format!(
            "The body is longer than {} bytes.",
            limits::REQUEST_BODY_MAX_BYTES
        ),
        ErrorCode::RequestTimeout => format!(
            "The body was not in within {} s.",
            limits::REQUEST_BODY_TIMEOUT.as_secs()
        ),
        ErrorCode::NotFound => format!("{}: the path is unknown.", code.status()),
        ErrorCode::MethodNotAllowed => {
            format!(
                "{}: the path is known, the method is not its own.",
                code.status()
            )
        }
        ErrorCode::UserNotFound => "The token is valid and its user does not exist.".to_owned(),
        ErrorCode::UpstreamUnavailable => format!(
            "The upstream refused, reset, redirected, or answered anything but 200 and a product \
             of at most {} bytes.",
            limits::UPSTREAM_BODY_MAX_BYTES
        ),
        ErrorCode::UpstreamTimeout => format!(
            "The upstream took longer than {} s to connect or {} s for the whole call.",
            limits::UPSTREAM_CONNECT_TIMEOUT.as_secs(),
            limits::UPSTREAM_CALL_TIMEOUT.as_secs()
        ),
        ErrorCode::DatabaseUnavailable => format!(
            "The database is down, no connection was free within {} s, or the statement took \
             longer than {} s.",
            limits::DB_ACQUIRE_TIMEOUT.as_secs(),
            limits::DB_STATEMENT_TIMEOUT.as_secs()
        ),
        ErrorCode::NotReady => {
            "Postgres or the upstream does not answer. The detail names which.".to_owned()
        }
        ErrorCode::Internal => "Anything unforeseen.".to_owned(),
    }
}
