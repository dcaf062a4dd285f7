//! The upstream of `GET /catalog`, called with reqwest.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, Limited};
use reqwest::{Body, Client, Request, Response, redirect};
use schema::ErrorCode;
use schema::limits::{UPSTREAM_BODY_MAX_BYTES, UPSTREAM_CALL_TIMEOUT, UPSTREAM_CONNECT_TIMEOUT};
use tokio::sync::Semaphore;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};
use tower::BoxError;

use crate::config::UpstreamConfig;
use crate::error::Error;

/// A connection that was idle for longer is not reused: servers of Node.js and uvicorn close it after
/// 5 s. The tuned pool may be late by half of this time.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(3);

/// The longest wait for a permit: half of the deadline is left for the call itself. If the wait could
/// use all of it, then under lasting overload every permit would go to a call with no time left.
const PERMIT_TIMEOUT: Duration = Duration::from_millis(2500);

/// One worker's client of the upstream.
pub(crate) struct Upstream {
    client: Client,
    /// Opens a connection for each call.
    client_without_pool: Client,
    request: Request,
    /// The calls in flight: reqwest limits idle connections only.
    permits: Semaphore,
}

impl Upstream {
    pub(crate) fn new(config: &UpstreamConfig, calls: usize) -> reqwest::Result<Self> {
        let client = |max_idle| {
            Client::builder()
                .no_proxy()
                .redirect(redirect::Policy::none())
                .connect_timeout(UPSTREAM_CONNECT_TIMEOUT)
                .pool_idle_timeout(IDLE_TIMEOUT)
                .pool_max_idle_per_host(max_idle)
                .build()
        };
        let (client, client_without_pool) = (client(calls)?, client(0)?);
        let request = client
            .get(config.data_url.clone())
            .bearer_auth(&config.api_key)
            .build()?;
        Ok(Self {
            client,
            client_without_pool,
            request,
            permits: Semaphore::new(calls),
        })
    }

    pub(crate) async fn fetch_product(&self) -> Result<Bytes, Error> {
        within_deadline(self.permits.acquire(), async |_permit| self.call().await).await
    }

    async fn call(&self) -> Result<Bytes, Error> {
        // Background tasks return connections to reqwest's pool, and close those that received data
        // while they were idle.
        yield_now().await;
        let response = self.send().await.map_err(failed)?;
        must_be_acceptable(response.status(), response.content_length())?;
        let body = Limited::new(Body::from(response), UPSTREAM_BODY_MAX_BYTES);
        let body = body.collect().await.map_err(unavailable)?;
        Ok(body.to_bytes())
    }

    /// Sends the request. The upstream may close a connection that was idle at any time: a call that
    /// ends without a response is repeated once on a new connection (RFC 9110, 9.2.2).
    async fn send(&self) -> reqwest::Result<Response> {
        let request = || self.request.try_clone().expect("it has no body");
        match self.client.execute(request()).await {
            Err(error) if !error.is_connect() && !error.is_timeout() => {
                self.client_without_pool.execute(request()).await
            }
            result => result,
        }
    }
}

/// Waits for a permit and then makes a call, both within the deadline of a call.
pub(crate) async fn within_deadline<P, T, C>(
    permit: impl Future<Output = P>,
    call: impl FnOnce(P) -> C,
) -> Result<T, Error>
where
    C: Future<Output = Result<T, Error>>,
{
    let start = Instant::now();
    let permit = timeout_at(start + PERMIT_TIMEOUT, permit).await;
    let permit = permit.map_err(timed_out)?;
    let result = timeout_at(start + UPSTREAM_CALL_TIMEOUT, call(permit)).await;
    result.unwrap_or_else(|elapsed| Err(timed_out(elapsed)))
}

/// Refuses every status but 200, because a redirect is not followed, and a body that is announced as
/// longer than the longest one.
pub(crate) fn must_be_acceptable(status: StatusCode, length: Option<u64>) -> Result<(), Error> {
    if status != StatusCode::OK {
        return Err(unavailable(format!("the upstream answered {status}")));
    }
    match length {
        Some(length) if length > UPSTREAM_BODY_MAX_BYTES as u64 => Err(unavailable(format!(
            "the upstream announced a body of {length} bytes"
        ))),
        _ => Ok(()),
    }
}

fn failed(error: reqwest::Error) -> Error {
    let error = error.without_url();
    match error.is_timeout() {
        true => timed_out(error),
        false => unavailable(error),
    }
}

pub(crate) fn unavailable(cause: impl Into<BoxError>) -> Error {
    Error::from(ErrorCode::UpstreamUnavailable).because(cause)
}

pub(crate) fn timed_out(cause: impl Into<BoxError>) -> Error {
    Error::from(ErrorCode::UpstreamTimeout).because(cause)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::task::LocalSet;
    use tokio::time::sleep;

    use super::*;

    const PERMITS: usize = 10;
    const CALL: Duration = Duration::from_millis(100);

    /// A hundred clients for each permit call again as soon as they are answered. They start one
    /// after the other: clients that start together time out together, which ends the overload.
    #[tokio::test(start_paused = true)]
    async fn lasting_overload_wastes_no_permit() {
        thread_local!(static ANSWERED: Cell<u32> = const { Cell::new(0) });
        let permits: &Semaphore = Box::leak(Box::new(Semaphore::new(PERMITS)));
        let clients = LocalSet::new();
        for index in 0..100 * PERMITS {
            clients.spawn_local(async move {
                sleep(CALL * u32::try_from(index).unwrap() / 20).await;
                loop {
                    let call = async |permit| {
                        sleep(CALL).await;
                        drop(permit);
                        Ok(())
                    };
                    if within_deadline(permits.acquire(), call).await.is_ok() {
                        ANSWERED.set(ANSWERED.get() + 1);
                    }
                }
            });
        }
        let (settle, observed) = (4 * UPSTREAM_CALL_TIMEOUT, 100 * CALL);
        clients.run_until(sleep(settle)).await;
        let before = ANSWERED.get();
        clients.run_until(sleep(observed)).await;
        let possible = 100 * u32::try_from(PERMITS).unwrap();
        let answered = ANSWERED.get() - before;
        // More than the permits allow would be no overload.
        let expected = possible * 9 / 10..=possible * 11 / 10;
        assert!(expected.contains(&answered), "{answered} of {possible}");
    }
}
