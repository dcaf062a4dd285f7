//! The upstream of `GET /catalog`, through reqwest.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, StatusCode};
use http_body_util::{BodyExt, Limited};
use reqwest::{Client, Url, redirect, retry};
use schema::ErrorCode;
use schema::limits::{UPSTREAM_BODY_MAX_BYTES, UPSTREAM_CALL_TIMEOUT, UPSTREAM_CONNECT_TIMEOUT};
use tokio::sync::Semaphore;
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::config::UpstreamConfig;
use crate::error::Error;

/// Idle connections are dropped before an upstream that keeps them for a minute would drop them.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// One worker's connections to the upstream.
///
/// reqwest bounds idle connections only, and opens one more while another is on its way back to
/// its pool. So that the number of connections never exceeds the budget, every connection is a
/// client of its own that one call at a time has for itself.
pub(crate) struct Catalog {
    free: Mutex<Vec<Client>>,
    calls: Semaphore,
    data_url: Url,
    authorization: HeaderValue,
}

impl Catalog {
    pub(crate) fn new(config: &UpstreamConfig, connections: usize) -> reqwest::Result<Self> {
        let clients = (0..connections).map(|_| {
            Client::builder()
                .no_proxy()
                .redirect(redirect::Policy::none())
                .referer(false)
                .retry(retry::never())
                .connect_timeout(UPSTREAM_CONNECT_TIMEOUT)
                .pool_idle_timeout(POOL_IDLE_TIMEOUT)
                .pool_max_idle_per_host(1)
                .build()
        });
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", config.api_key))
            .expect("the configuration admits visible ASCII only");
        authorization.set_sensitive(true);
        Ok(Self {
            free: Mutex::new(clients.collect::<Result<_, _>>()?),
            calls: Semaphore::new(connections),
            data_url: config.data_url.clone(),
            authorization,
        })
    }

    /// The body of `{UPSTREAM_URL}/data`. The deadline covers everything, the wait for a free
    /// connection included.
    pub(crate) async fn fetch(&self) -> Result<Bytes, Error> {
        match timeout(UPSTREAM_CALL_TIMEOUT, self.call()).await {
            Ok(result) => result,
            Err(elapsed) => Err(Error::from(ErrorCode::UpstreamTimeout).because(elapsed)),
        }
    }

    async fn call(&self) -> Result<Bytes, Error> {
        let acquired = self.calls.acquire().await;
        let _call = acquired.expect("the semaphore is never closed");
        let lent = Lent::from(&self.free);
        let response = lent
            .client
            .get(self.data_url.clone())
            .header(AUTHORIZATION, self.authorization.clone())
            .send()
            .await
            .map_err(failed)?;
        if response.status() != StatusCode::OK {
            let answer = format!("the upstream answered {}", response.status());
            return Err(Error::from(ErrorCode::UpstreamUnavailable).because(answer));
        }
        let body = http::Response::from(response).into_body();
        let collected = Limited::new(body, UPSTREAM_BODY_MAX_BYTES).collect().await;
        let body = collected
            .map_err(|error| Error::from(ErrorCode::UpstreamUnavailable).because(error))?;
        // The connection goes back to the client's pool in a task of its own; before its turn the
        // next call would find none there.
        yield_now().await;
        Ok(body.to_bytes())
    }
}

/// A client that is given back when the call ends, however it ends.
struct Lent<'a> {
    client: Client,
    free: &'a Mutex<Vec<Client>>,
}

impl<'a> Lent<'a> {
    /// There must be a free one: as many calls are let in as there are clients.
    fn from(free: &'a Mutex<Vec<Client>>) -> Self {
        let client = lock(free).pop().expect("every call has a client");
        Self { client, free }
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        lock(self.free).push(self.client.clone());
    }
}

/// A panic elsewhere does not spoil a list of clients.
fn lock(free: &Mutex<Vec<Client>>) -> MutexGuard<'_, Vec<Client>> {
    free.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed(error: reqwest::Error) -> Error {
    let code = match error.is_timeout() {
        true => ErrorCode::UpstreamTimeout,
        false => ErrorCode::UpstreamUnavailable,
    };
    Error::from(code).because(error.without_url())
}
