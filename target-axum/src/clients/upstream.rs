//! What both clients of the upstream do alike: their credentials, and how a failure is answered.

use std::time::Duration;

use http::{HeaderValue, StatusCode};
use schema::ErrorCode;
use schema::limits::UPSTREAM_CALL_TIMEOUT;
use tokio::time::timeout;
use tower::BoxError;

use crate::config::UpstreamConfig;
use crate::error::Error;

/// Idle connections are dropped before an upstream that keeps them for a minute would drop them.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The key in the form that the upstream asks for; never printed.
pub(super) fn authorization(config: &UpstreamConfig) -> HeaderValue {
    let mut authorization = HeaderValue::try_from(format!("Bearer {}", config.api_key))
        .expect("the configuration admits visible ASCII only");
    authorization.set_sensitive(true);
    authorization
}

/// A whole call within its deadline.
pub(super) async fn in_time<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match timeout(UPSTREAM_CALL_TIMEOUT, call).await {
        Ok(result) => result,
        Err(elapsed) => Err(timed_out(elapsed)),
    }
}

/// Only 200 is the product: a redirect is not followed.
pub(super) fn must_be_ok(status: StatusCode) -> Result<(), Error> {
    match status {
        StatusCode::OK => Ok(()),
        status => Err(unavailable(format!("the upstream answered {status}"))),
    }
}

pub(super) fn unavailable(cause: impl Into<BoxError>) -> Error {
    Error::from(ErrorCode::UpstreamUnavailable).because(cause)
}

pub(super) fn timed_out(cause: impl Into<BoxError>) -> Error {
    Error::from(ErrorCode::UpstreamTimeout).because(cause)
}
