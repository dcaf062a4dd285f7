//! A JSON request body: its type, its size and its time are checked before it is decoded.

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use mime::Mime;
use schema::ErrorCode;
use schema::json::{self, Fields, Rejection};
use schema::limits::{REQUEST_BODY_MAX_BYTES, REQUEST_BODY_TIMEOUT};
use serde::Deserialize;
use tokio::time::timeout;

use crate::error::Error;

/// The bytes of a JSON body. The decoded value borrows from them.
pub(crate) struct JsonBody(Bytes);

impl JsonBody {
    pub(crate) fn decode<'de, T: Deserialize<'de> + Fields>(&'de self) -> Result<T, Error> {
        json::from_slice(&self.0).map_err(|rejection| match rejection {
            Rejection::Malformed => ErrorCode::MalformedBody.into(),
            Rejection::Invalid { detail } => Error::from(ErrorCode::InvalidBody).detail(detail),
        })
    }
}

impl<S: Sync> FromRequest<S> for JsonBody {
    type Rejection = Error;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Error> {
        if !is_json(request.headers()) {
            return Err(ErrorCode::UnsupportedMediaType.into());
        }
        let body = request.into_body();
        // Refused by its announced length before a byte of it is read.
        if body.size_hint().lower() > REQUEST_BODY_MAX_BYTES as u64 {
            return Err(ErrorCode::BodyTooLarge.into());
        }
        let collected = collect(Limited::new(body, REQUEST_BODY_MAX_BYTES));
        match timeout(REQUEST_BODY_TIMEOUT, collected).await {
            Ok(Ok(body)) => Ok(Self(body)),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ErrorCode::BodyTooLarge.into()),
            // The chunks' framing is broken, or the client has gone.
            Ok(Err(_)) => Err(ErrorCode::MalformedBody.into()),
            Err(_) => Err(ErrorCode::RequestTimeout.into()),
        }
    }
}

/// All of a body. One that comes in a single piece, as nearly all do, is not copied; of the others
/// no piece is kept, each of which would hold on to the buffer that it came in: a body that comes a
/// byte at a time takes no more memory than its length.
async fn collect<B: http_body::Body<Data = Bytes> + Unpin>(mut body: B) -> Result<Bytes, B::Error> {
    let mut first = Bytes::new();
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame?.into_data() else {
            continue;
        };
        if first.is_empty() && whole.is_empty() {
            first = piece;
        } else {
            whole.extend_from_slice(&std::mem::take(&mut first));
            whole.extend_from_slice(&piece);
        }
    }
    Ok(if whole.is_empty() {
        first
    } else {
        whole.into()
    })
}

/// Whether exactly one content type is given and it is JSON (RFC 8259, or RFC 6839's `+json`).
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
