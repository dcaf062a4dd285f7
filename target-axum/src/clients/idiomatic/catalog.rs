//! The upstream of `GET /catalog`, through reqwest.

use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, StatusCode};
use http_body_util::{BodyExt, Limited};
use reqwest::{Client, Url, redirect, retry};
use schema::ErrorCode;
use schema::limits::{UPSTREAM_BODY_MAX_BYTES, UPSTREAM_CALL_TIMEOUT, UPSTREAM_CONNECT_TIMEOUT};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::config::UpstreamConfig;
use crate::error::Error;

/// Idle connections are dropped before an upstream that keeps them for a minute would drop them.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// One worker's connections to the upstream.
pub(crate) struct Catalog {
    client: Client,
    data_url: Url,
    authorization: HeaderValue,
    /// reqwest's pool bounds only its idle connections; this bounds the calls in flight.
    calls: Semaphore,
}

impl Catalog {
    pub(crate) fn new(config: &UpstreamConfig, connections: usize) -> reqwest::Result<Self> {
        let client = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .referer(false)
            .retry(retry::never())
            .connect_timeout(UPSTREAM_CONNECT_TIMEOUT)
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .pool_max_idle_per_host(connections)
            .build()?;
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", config.api_key))
            .expect("the configuration admits visible ASCII only");
        authorization.set_sensitive(true);
        Ok(Self {
            client,
            data_url: config.data_url.clone(),
            authorization,
            calls: Semaphore::new(connections),
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
        let _call = self
            .calls
            .acquire()
            .await
            .expect("the semaphore is never closed");
        let response = self
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
        Ok(body.to_bytes())
    }
}

fn failed(error: reqwest::Error) -> Error {
    let code = match error.is_timeout() {
        true => ErrorCode::UpstreamTimeout,
        false => ErrorCode::UpstreamUnavailable,
    };
    Error::from(code).because(error.without_url())
}
