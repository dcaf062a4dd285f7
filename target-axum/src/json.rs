//! JSON answers.

use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use schema::ErrorCode;
use serde::Serialize;

use crate::error::Error;

/// Room for every ordinary answer: the buffer grows for a longer one, and is never copied for a
/// shorter one.
const BODY_BYTES: usize = 512;

/// As axum's, which begins with a buffer that most answers outgrow.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        let mut body = Vec::with_capacity(BODY_BYTES);
        match serde_json::to_writer(&mut body, &self.0) {
            Ok(()) => {
                let mut response = Response::new(body.into());
                let json = HeaderValue::from_static("application/json");
                response.headers_mut().insert(CONTENT_TYPE, json);
                response
            }
            Err(error) => Error::from(ErrorCode::Internal)
                .because(error)
                .into_response(),
        }
    }
}
