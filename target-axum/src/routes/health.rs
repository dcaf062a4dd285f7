//! `GET /health` and `GET /ready`: ours only, for whoever starts and stops the target.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use schema::ErrorCode;
use tokio::join;
use tokio::time::timeout;

use crate::AppState;
use crate::error::Error;

/// Time for both dependencies to answer: shorter than the wait of any health check.
const READY_TIMEOUT: Duration = Duration::from_secs(1);

pub(crate) async fn get_health() -> &'static str {
    "ok"
}

/// Asks Postgres and the upstream as the endpoints do, at the same time.
pub(crate) async fn get_ready(State(state): State<Arc<AppState>>) -> Result<&'static str, Error> {
    let (database, upstream) = join!(
        timeout(READY_TIMEOUT, state.users.find("")),
        timeout(READY_TIMEOUT, state.catalog.fetch()),
    );
    let unavailable: Vec<_> = [
        (
            matches!(database, Ok(Ok(_))),
            ErrorCode::DatabaseUnavailable,
        ),
        (
            matches!(upstream, Ok(Ok(_))),
            ErrorCode::UpstreamUnavailable,
        ),
    ]
    .into_iter()
    .filter(|(answers, _)| !answers)
    .map(|(_, code)| code.phrase())
    .collect();
    if unavailable.is_empty() {
        Ok("ok")
    } else {
        Err(Error::from(ErrorCode::NotReady).detail(unavailable.join(", ")))
    }
}
