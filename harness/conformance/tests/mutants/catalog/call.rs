//! A call of the upstream that a mutant makes itself, instead of the real target: right by default,
//! and wrong in one point where a mutant says so.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Response};
use schema::json::Rejection;
use schema::limits::{UPSTREAM_BODY_MAX_BYTES, UPSTREAM_CALL_TIMEOUT, UPSTREAM_CONNECT_TIMEOUT};
use schema::routes::CATALOG;
use schema::{ErrorCode, Product, env};
use testbed::raw::{Answer, Connection};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::server::{Mutant, error, json};

/// Calls that may be in flight.
const CALLS_MAX: usize = 64;

/// How the upstream is called.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    pub(crate) target: &'static str,
    pub(crate) connect: Duration,
    pub(crate) first_byte: Duration,
    pub(crate) whole: Duration,
    /// Redirects that are followed.
    pub(crate) redirects: usize,
}

impl Call {
    /// As the contract says.
    pub(crate) const RIGHT: Self = Self {
        target: "/data",
        connect: UPSTREAM_CONNECT_TIMEOUT,
        first_byte: UPSTREAM_CALL_TIMEOUT,
        whole: UPSTREAM_CALL_TIMEOUT,
        redirects: 0,
    };

    async fn make(self, upstream: SocketAddr) -> Came {
        let call = spawn_blocking(move || self.made(upstream));
        timeout(self.whole, call)
            .await
            .map_or(Came::Late, Result::unwrap)
    }

    fn made(self, upstream: SocketAddr) -> Came {
        let mut came = self.once(upstream);
        for _ in 0..self.redirects {
            match came {
                Came::Status(answer) if answer.status == 302 => came = self.once(upstream),
                _ => break,
            }
        }
        came
    }

    fn once(self, upstream: SocketAddr) -> Came {
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {upstream}\r\nAuthorization: Bearer {}\r\n\r\n",
            self.target,
            env::bench_value(&env::UPSTREAM_API_KEY)
        );
        let mut connection = match Connection::open_within(upstream, self.connect) {
            Ok(connection) => connection,
            Err(error) if is_late(&error) => return Came::Unreachable,
            Err(_) => return Came::Refused,
        };
        if connection.send(request).is_err() {
            return Came::Reset;
        }
        match connection.readable_within(self.first_byte) {
            Ok(true) => {}
            Ok(false) => return Came::Late,
            Err(_) => return Came::Reset,
        }
        match connection.answer() {
            Ok(answer) => Came::of(answer),
            Err(error) if is_late(&error) => Came::Late,
            Err(error) if error.to_string() == "reading the body" => Came::Truncated,
            Err(_) => Came::Reset,
        }
    }
}

/// What came of a call.
pub(crate) enum Came {
    /// A product, as its bytes.
    Product(Vec<u8>),
    /// A product in too many bytes.
    Huge(Vec<u8>),
    /// JSON that is no product.
    OtherShape(Vec<u8>),
    Malformed,
    /// Another status than 200.
    Status(Answer),
    Refused,
    Unreachable,
    Reset,
    Truncated,
    Late,
}

impl Came {
    fn of(answer: Answer) -> Self {
        if answer.status != 200 {
            return Self::Status(answer);
        }
        match schema::json::from_slice::<Product<'_>>(&answer.body) {
            Ok(_) if answer.body.len() > UPSTREAM_BODY_MAX_BYTES => Self::Huge(answer.body),
            Ok(_) => Self::Product(answer.body),
            Err(Rejection::Malformed) => Self::Malformed,
            Err(Rejection::Invalid { .. }) => Self::OtherShape(answer.body),
        }
    }

    /// As the contract says.
    fn answer(&self) -> Response<Body> {
        match self {
            Self::Product(bytes) => product(bytes),
            Self::Late | Self::Unreachable => error(ErrorCode::UpstreamTimeout),
            _ => error(ErrorCode::UpstreamUnavailable),
        }
    }
}

/// 200 with the product, decoded and encoded.
pub(crate) fn product(bytes: &[u8]) -> Response<Body> {
    json(200, encoded(bytes))
}

/// The product, decoded and encoded.
pub(crate) fn encoded(bytes: &[u8]) -> String {
    let product: Product<'_> = schema::json::from_slice(bytes).unwrap();
    serde_json::to_string(&product).unwrap()
}

/// A mutant that calls the upstream so, and answers as the contract says where `answer` does not
/// say otherwise.
pub(crate) fn calling(
    name: &'static str,
    trips: &'static [&'static str],
    call: Call,
    answer: impl Fn(&Came) -> Option<Response<Body>> + Send + Sync + 'static,
) -> Mutant {
    let calls = Arc::new(Semaphore::new(CALLS_MAX));
    let answer = Arc::new(answer);
    Mutant::new(name, trips, move |honest, request| {
        let (calls, answer) = (Arc::clone(&calls), Arc::clone(&answer));
        async move {
            if request.uri().path() != CATALOG || request.method() != Method::GET {
                return honest.answer(request).await;
            }
            let _call = calls.acquire().await.unwrap();
            let came = call.make(honest.upstream).await;
            answer(&came).unwrap_or_else(|| came.answer())
        }
    })
}

fn is_late(error: &anyhow::Error) -> bool {
    let error = error.root_cause().downcast_ref::<std::io::Error>();
    error.is_some_and(|error| matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock))
}
