//! The contract's error table: one row per [`ErrorCode`], its status and its phrase.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Why a request failed. The one place for the status and the phrase of an error.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ErrorCode {
    /// Missing, malformed, expired or otherwise bad token.
    InvalidToken,
    /// The upstream's own refusal of a missing or wrong API key.
    InvalidApiKey,
    /// The body is not JSON: syntax, empty, invalid UTF-8, trailing data, too deep.
    MalformedBody,
    /// JSON that does not fit; the detail names the field.
    InvalidBody,
    /// The content type is not JSON or missing.
    UnsupportedMediaType,
    /// The body is longer than `limits::REQUEST_BODY_MAX_BYTES`.
    BodyTooLarge,
    /// The body did not arrive within `limits::REQUEST_BODY_TIMEOUT`.
    RequestTimeout,
    /// Unknown path.
    NotFound,
    /// Known path, other method.
    MethodNotAllowed,
    /// Valid token, no such user.
    UserNotFound,
    /// The upstream refused, reset, redirected, or answered what is not a product.
    UpstreamUnavailable,
    /// The upstream missed its deadline.
    UpstreamTimeout,
    /// Database down, pool exhausted, statement too slow.
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

    /// Status code and phrase (the body's `error`).
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

    /// The HTTP status code.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.row().0
    }

    /// The body's `error`.
    #[must_use]
    pub const fn phrase(self) -> &'static str {
        self.row().1
    }

    /// The body without a detail, as bytes on the wire.
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
    /// What went wrong, a fixed phrase.
    #[serde(borrow)]
    pub error: Cow<'a, str>,
    /// What helps the caller fix the request.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub detail: Option<Cow<'a, str>>,
}

impl ErrorBody<'_> {
    /// The compact JSON that goes on the wire.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("two strings always serialise")
    }
}
