//! The error type of the HTTP boundary: a row of the contract's error table, a detail for the client,
//! and a cause for the log.

use std::error::Error as StdError;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use schema::limits::RETRY_AFTER_SECS;
use schema::{ErrorBody, ErrorCode};
use tower::BoxError;

/// The failure of a request.
pub(crate) struct Error {
    code: ErrorCode,
    detail: Option<String>,
    cause: Option<BoxError>,
}

impl Error {
    /// Adds a detail that helps the client fix the request; it is sent in the body.
    pub(crate) fn detail(self, detail: String) -> Self {
        Self {
            detail: Some(detail),
            ..self
        }
    }

    /// Adds the cause of a 5xx; it is logged and never sent.
    pub(crate) fn because(self, cause: impl Into<BoxError>) -> Self {
        Self {
            cause: Some(cause.into()),
            ..self
        }
    }
}

impl From<ErrorCode> for Error {
    fn from(code: ErrorCode) -> Self {
        Self {
            code,
            detail: None,
            cause: None,
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        if let Some(cause) = &self.cause {
            tracing::error!(cause = %chain(cause.as_ref()), "{}", self.code.phrase());
        }
        let status =
            StatusCode::from_u16(self.code.status()).expect("the error table holds valid statuses");
        let body = ErrorBody {
            detail: self.detail.map(Into::into),
            ..self.code.body()
        };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECS));
            }
            _ => {}
        }
        response
    }
}

/// Returns the error and its sources in one line.
fn chain(error: &dyn StdError) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        line += &format!(": {error}");
        source = error.source();
    }
    line
}
