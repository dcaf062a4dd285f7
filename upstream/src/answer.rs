//! What the upstream answers when it behaves.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{Either, Full};
use schema::{ErrorCode, fixtures};
use tower::BoxError;

/// Bytes that are at hand, or a fault's body that comes over time.
pub(crate) type Body = Either<Full<Bytes>, BoxBody<Bytes, BoxError>>;

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// 200 with the product: bytes of the executable, never copied.
pub(crate) fn product() -> Response<Body> {
    ok(JSON, Bytes::from_static(fixtures::PRODUCT_JSON.as_bytes()))
}

/// 200 `ok`.
pub(crate) fn health() -> Response<Body> {
    ok(TEXT, Bytes::from_static(b"ok"))
}

/// 200 with these bytes.
pub(crate) fn ok(content_type: HeaderValue, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(body)));
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// The status and body of an error, with the header that belongs to it.
pub(crate) fn error(code: ErrorCode) -> Response<Body> {
    let mut response = ok(JSON, Bytes::from(code.body().to_json()));
    *response.status_mut() =
        StatusCode::from_u16(code.status()).expect("the error table holds valid statuses");
    let headers = response.headers_mut();
    match code {
        ErrorCode::InvalidApiKey => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        ErrorCode::MethodNotAllowed => {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        _ => {}
    }
    response
}
