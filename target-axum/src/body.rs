//! A JSON request body, in place of `axum::Json`: the contract asks for stricter JSON, its own error
//! bodies, and a refusal by the announced length before anything is read.

use std::pin::pin;

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use mime::Mime;
use schema::ErrorCode;
use schema::json::{self, Fields, Rejection};
use schema::limits::{REQUEST_BODY_MAX_BYTES, REQUEST_BODY_TIMEOUT};
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use tower::BoxError;

use crate::error::Error;

/// A value decoded from a JSON body.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned + Fields> FromRequest<S> for JsonBody<T> {
    type Rejection = Error;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Error> {
        Self::read(request).await
    }
}

impl<T: DeserializeOwned + Fields> JsonBody<T> {
    /// Reads and decodes the body of a request.
    pub(crate) async fn read<B>(request: http::Request<B>) -> Result<Self, Error>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>>,
    {
        if !is_json(request.headers()) {
            return Err(ErrorCode::UnsupportedMediaType.into());
        }
        let body = request.into_body();
        if body.size_hint().lower() > REQUEST_BODY_MAX_BYTES as u64 {
            return Err(ErrorCode::BodyTooLarge.into());
        }
        let bytes = timeout(REQUEST_BODY_TIMEOUT, read(body))
            .await
            .map_err(|_| ErrorCode::RequestTimeout)?
            .map_err(|error| match error.is::<LengthLimitError>() {
                true => ErrorCode::BodyTooLarge,
                // The framing of the chunks is broken, or the client closed the connection.
                false => ErrorCode::MalformedBody,
            })?;
        json::from_slice(&bytes)
            .map(Self)
            .map_err(|rejection| match rejection {
                Rejection::Malformed => ErrorCode::MalformedBody.into(),
                Rejection::Invalid { detail } => Error::from(ErrorCode::InvalidBody).detail(detail),
            })
    }
}

/// Reads the whole body. Its pieces are copied, because each one keeps the buffer that it arrived in:
/// a body in many small chunks must take no more memory than its length.
async fn read<B>(body: B) -> Result<Vec<u8>, BoxError>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    let mut body = pin!(Limited::new(body, REQUEST_BODY_MAX_BYTES));
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(piece) = frame?.into_data() {
            bytes.extend_from_slice(&piece);
        }
    }
    Ok(bytes)
}

/// Returns whether exactly one content type is given and it is JSON (RFC 8259, or RFC 6839's `+json`).
fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return false;
    };
    value == "application/json"
        || value
            .to_str()
            .ok()
            .and_then(|value| value.parse::<Mime>().ok())
            .is_some_and(|mime| {
                mime.type_() == mime::APPLICATION
                    && (mime.subtype() == mime::JSON || mime.suffix() == Some(mime::JSON))
            })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(values: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_TYPE, value.parse().unwrap());
        }
        is_json(&headers)
    }

    #[test]
    fn json_is_recognised_with_parameters_and_in_any_case() {
        for value in [
            "application/json",
            "application/json; charset=utf-8",
            "Application/JSON;charset=UTF-8",
            "application/problem+json",
        ] {
            assert!(accepts(&[value]), "{value}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for value in [
            "text/plain",
            "text/json",
            "application/jsonp",
            "application/x-json",
            "json",
            "",
        ] {
            assert!(!accepts(&[value]), "{value}");
        }
        assert!(!accepts(&[]));
        assert!(!accepts(&["application/json", "application/json"]));
    }
}
