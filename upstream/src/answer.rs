//! The answers of the upstream without a fault.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{Either, Full};
use schema::{ErrorCode, fixtures};
use tower::BoxError;

/// A body in memory, or the body of a fault that is sent over time.
pub(crate) type Body = Either<Full<Bytes>, BoxBody<Bytes, BoxError>>;

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Returns 200 with the product, without copying it.
pub(crate) fn product() -> Response<Body> {
    ok(JSON, Bytes::from_static(fixtures::PRODUCT_JSON.as_bytes()))
}

/// Returns 200 `ok`.
pub(crate) fn health() -> Response<Body> {
    ok(TEXT, Bytes::from_static(b"ok"))
}

/// Returns 200 with a body.
pub(crate) fn ok(content_type: HeaderValue, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(body)));
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// Returns the response of an error, with the header that its status needs.
pub(crate) fn error(code: ErrorCode) -> Response<Body> {
    let mut response = ok(JSON, Bytes::from(code.body().to_json()));
    *response.status_mut() =
        StatusCode::from_u16(code.status()).expect("the error table holds valid statuses");
    let header = match code {
        ErrorCode::InvalidApiKey => (WWW_AUTHENTICATE, "Bearer"),
        ErrorCode::MethodNotAllowed => (ALLOW, "GET, HEAD"),
        _ => return response,
    };
    let value = HeaderValue::from_static(header.1);
    response.headers_mut().insert(header.0, value);
    response
}
