//! `GET /catalog`: call the upstream with awc, decode and encode its product.

use std::time::Duration;

use actix_web::rt::time::timeout;
use actix_web::{HttpResponse, route, web};
use awc::error::{ConnectError, SendRequestError};
use awc::http::StatusCode;
use awc::{Client, Connector};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::error::Error;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
const BODY_MAX_BYTES: usize = 1024 * 1024;

/// A worker's client of the upstream.
pub struct Upstream {
    client: Client,
    url: String,
}

impl Upstream {
    pub fn new(config: &Config) -> Self {
        let connector = Connector::new()
            .limit(config.upstream_pool_size / config.workers)
            .timeout(CONNECT_TIMEOUT);
        let client = Client::builder()
            .connector(connector)
            .disable_redirects()
            .bearer_auth(&config.upstream_api_key)
            .finish();
        Self {
            client,
            url: format!("{}/data", config.upstream_url.trim_end_matches('/')),
        }
    }

    async fn product(&self) -> Result<Product, Error> {
        let request = self.client.get(&self.url);
        let mut response = request.send().await.map_err(failed)?;
        if response.status() != StatusCode::OK {
            return Err(unavailable(response.status()));
        }
        let product = response.json().limit(BODY_MAX_BYTES);
        product.await.map_err(unavailable)
    }
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Product {
    id: String,
    title: String,
    price: f64,
    in_stock: bool,
    tags: Vec<String>,
    rating: f64,
    description: String,
    vendor: Vendor,
}

#[derive(Deserialize, Serialize)]
struct Vendor {
    id: String,
    name: String,
}

#[route("/{path:catalog|proxy}", method = "GET", method = "HEAD")]
pub async fn catalog(upstream: web::Data<Upstream>) -> Result<HttpResponse, Error> {
    let call = timeout(CALL_TIMEOUT, upstream.product()).await;
    let product = call.map_err(|_| Error::UpstreamTimeout)??;
    Ok(HttpResponse::Ok().json(product))
}

fn failed(error: SendRequestError) -> Error {
    match error {
        SendRequestError::Timeout | SendRequestError::Connect(ConnectError::Timeout) => {
            Error::UpstreamTimeout
        }
        error => unavailable(error),
    }
}

fn unavailable(cause: impl std::fmt::Display) -> Error {
    log::error!("upstream unavailable: {cause}");
    Error::UpstreamUnavailable
}
