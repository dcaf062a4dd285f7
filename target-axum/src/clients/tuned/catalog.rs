//! The upstream of `GET /catalog`, over hyper's connections. Beside what [`Pool`] promises:
//!
//! - One deadline for the whole call, of which half may be spent waiting for a place; another for
//!   connecting.
//! - A connection has no task: the call that owns it moves it, and takes it along when it is
//!   dropped. No answer is ever left for the next call.
//! - It is put back only if hyper says that it is ready for a request: its answer is read to the
//!   end, nothing came after it, and neither side wants to close.
//! - The upstream may close what is idle. A call that finds its kept connection so is repeated
//!   once, on a fresh one: it only reads (RFC 9110, 9.2.2).

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use pin_project_lite::pin_project;
use reqwest::Url;
use schema::limits::{UPSTREAM_BODY_MAX_BYTES, UPSTREAM_CONNECT_TIMEOUT};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::BoxError;

use super::super::upstream;
use super::pool::{Place, Pool};
use crate::config::UpstreamConfig;
use crate::error::Error;

/// One worker's connections to the upstream.
pub(crate) struct Catalog {
    pool: Pool<Connection>,
    host: String,
    port: u16,
    request: Request<Empty<Bytes>>,
}

impl Catalog {
    pub(crate) fn new(config: &UpstreamConfig, connections: usize) -> Result<Self, BoxError> {
        let url = &config.data_url;
        let host = url.host_str().ok_or("an upstream without a host")?;
        let mut request = Request::get(url.path()).body(Empty::new())?;
        let headers = request.headers_mut();
        headers.insert(HOST, authority(url, host)?);
        headers.insert(AUTHORIZATION, upstream::authorization(config));
        Ok(Self {
            pool: Pool::new(connections, upstream::IDLE_TIMEOUT),
            // An IPv6 address stands in brackets in a URL, and only there.
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port_or_known_default().ok_or("no port")?,
            request,
        })
    }

    pub(crate) async fn fetch(&self) -> Result<Bytes, Error> {
        upstream::in_time(self.pool.place(), |place| self.call(place)).await
    }

    async fn call(&self, place: Place<'_, Connection>) -> Result<Bytes, Error> {
        let (mut connection, answer) = self.ask(&place).await?;
        upstream::must_be_ok(answer.status())?;
        let body = connection.read(answer.into_body()).await?;
        if connection.sender.is_ready() || connection.is_ready() {
            place.put_back(connection);
        }
        Ok(body)
    }

    /// The head of the answer, and the connection that it came on.
    async fn ask(
        &self,
        place: &Place<'_, Connection>,
    ) -> Result<(Connection, Response<Incoming>), Error> {
        if let Some(mut kept) = place.take() {
            match kept.send(self.request.clone()).await {
                Ok(answer) => return Ok((kept, answer)),
                Err(error) if error.is_parse() => return Err(upstream::unavailable(error)),
                // Closed while it was idle, or while the request was on its way.
                Err(_) => {}
            }
        }
        let mut fresh = self.connect().await?;
        let answer = fresh.send(self.request.clone()).await;
        Ok((fresh, answer.map_err(upstream::unavailable)?))
    }

    async fn connect(&self) -> Result<Connection, Error> {
        let connect = TcpStream::connect((&*self.host, self.port));
        let connected = timeout(UPSTREAM_CONNECT_TIMEOUT, connect).await;
        let stream = connected
            .map_err(upstream::timed_out)?
            .map_err(upstream::unavailable)?;
        // A request is one buffer, which `send` writes for less than `writev`.
        let handshake = http1::Builder::new()
            .writev(false)
            .handshake(TokioIo::new(stream))
            .await;
        let (sender, driver) = handshake.map_err(upstream::unavailable)?;
        Ok(Connection {
            sender,
            driver: Some(Box::new(driver)),
        })
    }
}

/// `host`, with the port if it is not HTTP's own.
fn authority(url: &Url, host: &str) -> Result<HeaderValue, BoxError> {
    let authority = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    Ok(HeaderValue::try_from(authority)?)
}

/// An open connection.
struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    /// Reads and writes; none when it has ended. In a box, which a call takes and puts back.
    driver: Option<Box<http1::Connection<TokioIo<TcpStream>, Empty<Bytes>>>>,
}

impl Connection {
    fn send(
        &mut self,
        request: Request<Empty<Bytes>>,
    ) -> Driven<'_, impl Future<Output = hyper::Result<Response<Incoming>>>> {
        let outcome = self.sender.send_request(request);
        Driven {
            connection: self,
            outcome,
        }
    }

    /// The whole body.
    async fn read(&mut self, body: Incoming) -> Result<Bytes, Error> {
        let body = Driven {
            connection: self,
            outcome: Limited::new(body, UPSTREAM_BODY_MAX_BYTES).collect(),
        };
        Ok(body.await.map_err(upstream::unavailable)?.to_bytes())
    }

    /// Whether it can take a request. What has come by now is read: an end of the connection, or
    /// what nobody asked for.
    fn is_ready(&mut self) -> bool {
        self.turn(&mut Context::from_waker(Waker::noop()));
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Reads and writes what can be. How the connection ended is told to whom it concerns, the
    /// future of an answer or a body.
    fn turn(&mut self, context: &mut Context<'_>) {
        if let Some(driver) = &mut self.driver
            && Pin::new(driver).poll(context).is_ready()
        {
            self.driver = None;
        }
    }
}

pin_project! {
    /// Waits for what a connection brings about. Written by hand: `async` functions keep what they are
    /// given more than once, and a call that is larger than a KiB costs a slow allocation.
    struct Driven<'a, F> {
        connection: &'a mut Connection,
        #[pin]
        outcome: F,
    }
}

impl<F: Future> Future for Driven<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.connection.turn(context);
        this.outcome.poll(context)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;

    /// glibc keeps blocks of up to 1,032 bytes at hand, and axum keeps some 300 beside it.
    #[tokio::test]
    async fn a_call_is_small_enough_for_a_fast_allocation() {
        let config = UpstreamConfig {
            data_url: Url::parse("http://127.0.0.1/data").unwrap(),
            api_key: "key".into(),
            pool_size: NonZeroUsize::MIN,
        };
        let catalog = Catalog::new(&config, 1).unwrap();
        let size = size_of_val(&catalog.fetch());
        assert!(size < 720, "{size} bytes");
    }
}
