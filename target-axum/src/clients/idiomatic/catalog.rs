//! The upstream of `GET /catalog`, through reqwest.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use http_body_util::{BodyExt, Limited};
use reqwest::{Client, Url, redirect, retry};
use schema::limits::{UPSTREAM_BODY_MAX_BYTES, UPSTREAM_CONNECT_TIMEOUT};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::yield_now;

use super::super::upstream;
use crate::config::UpstreamConfig;
use crate::error::Error;

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
                .pool_idle_timeout(upstream::IDLE_TIMEOUT)
                .pool_max_idle_per_host(1)
                .build()
        });
        Ok(Self {
            free: Mutex::new(clients.collect::<Result<_, _>>()?),
            calls: Semaphore::new(connections),
            data_url: config.data_url.clone(),
            authorization: upstream::authorization(config),
        })
    }

    pub(crate) async fn fetch(&self) -> Result<Bytes, Error> {
        upstream::in_time(self.calls.acquire(), |acquired| {
            self.call(acquired.expect("the semaphore is never closed"))
        })
        .await
    }

    async fn call(&self, _permit: SemaphorePermit<'_>) -> Result<Bytes, Error> {
        let lent = Lent::from(&self.free);
        let response = lent
            .client
            .get(self.data_url.clone())
            .header(AUTHORIZATION, self.authorization.clone())
            .send()
            .await
            .map_err(failed)?;
        upstream::must_be_ok(response.status())?;
        let body = http::Response::from(response).into_body();
        let collected = Limited::new(body, UPSTREAM_BODY_MAX_BYTES).collect().await;
        let body = collected.map_err(upstream::unavailable)?;
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
    let error = error.without_url();
    match error.is_timeout() {
        true => upstream::timed_out(error),
        false => upstream::unavailable(error),
    }
}
