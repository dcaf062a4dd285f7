//! The one error type of the HTTP boundary: a row of the contract's error table, what helps the
//! caller, and what only the operator may know.

use std::error::Error as StdError;

use axum::response::{IntoResponse, Response};
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use schema::limits::RETRY_AFTER_SECS;
use schema::{ErrorBody, ErrorCode};
use tower::BoxError;

use crate::json::Json;

/// Why a request failed.
pub(crate) struct Error {
    code: ErrorCode,
    detail: Option<String>,
    cause: Option<BoxError>,
}

impl Error {
    /// What helps the caller fix the request; goes into the body.
    pub(crate) fn detail(self, detail: String) -> Self {
        Self {
            detail: Some(detail),
            ..self
        }
    }

    /// What went wrong on our side; goes into the log and nowhere else.
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

/// The error and what caused it, in one line.
fn chain(error: &dyn StdError) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        line += &format!(": {error}");
        source = error.source();
    }
    line
}
