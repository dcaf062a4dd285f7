//! `GET /health` and `GET /ready`, for the operator and the load balancer.

use std::time::Duration;

use axum::extract::State;
use schema::ErrorCode;
use tokio::join;
use tokio::time::timeout;

use crate::AppState;
use crate::error::Error;

/// Time for both dependencies to answer: shorter than the timeout of any health check.
const READY_TIMEOUT: Duration = Duration::from_secs(1);

pub(crate) async fn get_health() -> &'static str {
    "ok"
}

/// Calls Postgres and the upstream as the endpoints do, both at the same time.
pub(crate) async fn get_ready(State(state): State<AppState>) -> Result<&'static str, Error> {
    let (database, upstream) = join!(
        timeout(READY_TIMEOUT, state.find_user("")),
        timeout(READY_TIMEOUT, state.fetch_product()),
    );
    let mut failed = Vec::new();
    if !matches!(database, Ok(Ok(_))) {
        failed.push(ErrorCode::DatabaseUnavailable.phrase());
    }
    if !matches!(upstream, Ok(Ok(_))) {
        failed.push(ErrorCode::UpstreamUnavailable.phrase());
    }
    match failed.is_empty() {
        true => Ok("ok"),
        false => Err(Error::from(ErrorCode::NotReady).detail(failed.join(", "))),
    }
}
