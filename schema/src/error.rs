//! The contract's error table: one row per [`ErrorCode`], its status and its phrase.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// The error of a request. The one place for its status and its phrase.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ErrorCode {
    /// Missing, malformed, expired or otherwise invalid token.
    InvalidToken,
    /// The upstream's own refusal of a missing or wrong API key.
    InvalidApiKey,
    /// A body that is not JSON: syntax, empty, invalid UTF-8, trailing data, nested too deep.
    MalformedBody,
    /// JSON that does not fit the type; the detail names the field.
    InvalidBody,
    /// A content type that is missing or not JSON.
    UnsupportedMediaType,
    /// A body longer than `limits::REQUEST_BODY_MAX_BYTES`.
    BodyTooLarge,
    /// A body that did not arrive within `limits::REQUEST_BODY_TIMEOUT`.
    RequestTimeout,
    /// Unknown path.
    NotFound,
    /// Known path, other method.
    MethodNotAllowed,
    /// Valid token, no such user.
    UserNotFound,
    /// The upstream refused, reset, redirected, or sent an answer that is not a product.
    UpstreamUnavailable,
    /// The upstream missed its deadline.
    UpstreamTimeout,
    /// The database is down, the pool exhausted, or the statement too slow.
    DatabaseUnavailable,
    /// `GET /ready` while a dependency does not answer; the detail names which.
    NotReady,
    /// Anything unforeseen.
    Internal,
}

impl ErrorCode {
    /// Every row of the table.
    pub const ALL: [Self; 15] = [
        Self::InvalidToken,
        Self::InvalidApiKey,
        Self::MalformedBody,
        Self::InvalidBody,
        Self::UnsupportedMediaType,
        Self::BodyTooLarge,
        Self::RequestTimeout,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::UserNotFound,
        Self::UpstreamUnavailable,
        Self::UpstreamTimeout,
        Self::DatabaseUnavailable,
        Self::NotReady,
        Self::Internal,
    ];

    /// Returns the status code and the phrase.
    const fn row(self) -> (u16, &'static str) {
        match self {
            Self::InvalidToken => (401, "invalid token"),
            Self::InvalidApiKey => (401, "invalid api key"),
            Self::MalformedBody => (400, "malformed body"),
            Self::InvalidBody => (422, "invalid body"),
            Self::UnsupportedMediaType => (415, "unsupported media type"),
            Self::BodyTooLarge => (413, "body too large"),
            Self::RequestTimeout => (408, "request timeout"),
            Self::NotFound => (404, "not found"),
            Self::MethodNotAllowed => (405, "method not allowed"),
            Self::UserNotFound => (404, "user not found"),
            Self::UpstreamUnavailable => (502, "upstream unavailable"),
            Self::UpstreamTimeout => (504, "upstream timeout"),
            Self::DatabaseUnavailable => (503, "database unavailable"),
            Self::NotReady => (503, "not ready"),
            Self::Internal => (500, "internal error"),
        }
    }

    /// Returns the HTTP status code.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.row().0
    }

    /// Returns the phrase: the field `error` of the body.
    #[must_use]
    pub const fn phrase(self) -> &'static str {
        self.row().1
    }

    /// Returns the body without a detail.
    #[must_use]
    pub fn body(self) -> ErrorBody<'static> {
        ErrorBody {
            error: Cow::Borrowed(self.phrase()),
            detail: None,
        }
    }
}

/// Body of every error.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorBody<'a> {
    /// The error, a fixed phrase.
    #[serde(borrow)]
    pub error: Cow<'a, str>,
    /// A hint for fixing the request.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub detail: Option<Cow<'a, str>>,
}

impl ErrorBody<'_> {
    /// Returns the compact JSON on the wire.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("two strings always serialise")
    }
}
