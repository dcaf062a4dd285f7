//! The contract's errors.

use actix_web::http::StatusCode;
use actix_web::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use derive_more::Display;
use serde_json::json;

/// The failure of a request; its text is the `error` of the body.
#[derive(Debug, Display)]
pub enum Error {
    #[display("invalid token")]
    InvalidToken,
    #[display("malformed body")]
    MalformedBody,
    /// The detail names the field.
    #[display("invalid body")]
    InvalidBody(String),
    #[display("unsupported media type")]
    UnsupportedMediaType,
    #[display("body too large")]
    BodyTooLarge,
    #[display("not found")]
    NotFound,
    #[display("user not found")]
    UserNotFound,
    #[display("upstream unavailable")]
    UpstreamUnavailable,
    #[display("upstream timeout")]
    UpstreamTimeout,
    #[display("database unavailable")]
    DatabaseUnavailable,
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::InvalidToken => StatusCode::UNAUTHORIZED,
            Self::MalformedBody => StatusCode::BAD_REQUEST,
            Self::InvalidBody(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotFound | Self::UserNotFound => StatusCode::NOT_FOUND,
            Self::UpstreamUnavailable => StatusCode::BAD_GATEWAY,
            Self::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::DatabaseUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        match self {
            Self::InvalidToken => response.insert_header((WWW_AUTHENTICATE, "Bearer")),
            Self::DatabaseUnavailable => response.insert_header((RETRY_AFTER, "1")),
            _ => &mut response,
        };
        response.json(match self {
            Self::InvalidBody(detail) => json!({ "error": self.to_string(), "detail": detail }),
            _ => json!({ "error": self.to_string() }),
        })
    }
}
