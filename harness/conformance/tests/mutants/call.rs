//! A call of the upstream that a mutant makes in place of the target: correct by default, and wrong
//! in one point where a mutant says so.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Response};
use schema::json::Rejection;
use schema::limits::{UPSTREAM_BODY_MAX_BYTES, UPSTREAM_CALL_TIMEOUT, UPSTREAM_CONNECT_TIMEOUT};
use schema::routes::CATALOG;
use schema::{ErrorCode, Product, env};
use testbed::raw::Connection;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::mutant::{Mutant, error, json};

/// Most calls in flight.
const CALLS_MAX: usize = 64;

/// How the upstream is called.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    pub(crate) target: &'static str,
    pub(crate) connect_timeout: Duration,
    pub(crate) first_byte_timeout: Duration,
    pub(crate) timeout: Duration,
    /// Most redirects that are followed.
    pub(crate) redirects: usize,
    /// Uses the connection of an earlier call, and repeats nothing if that has ended.
    pub(crate) keeps: bool,
}

/// The connection of an earlier call.
type Kept = Arc<Mutex<Option<Connection>>>;

/// The result of a call.
pub(crate) struct Called {
    pub(crate) kind: Kind,
    /// The body; empty where there is none.
    pub(crate) body: Vec<u8>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Kind {
    Product,
    /// A product that is larger than the limit.
    Huge,
    /// JSON, but not a product.
    OtherShape,
    Malformed,
    /// Another status than 200.
    Status(u16),
    Refused,
    Unreachable,
    Reset,
    Truncated,
    Late,
}

impl Call {
    /// The call that the contract describes.
    pub(crate) const RIGHT: Self = Self {
        target: "/data",
        connect_timeout: UPSTREAM_CONNECT_TIMEOUT,
        first_byte_timeout: UPSTREAM_CALL_TIMEOUT,
        timeout: UPSTREAM_CALL_TIMEOUT,
        redirects: 0,
        keeps: false,
    };

    async fn send(self, upstream: SocketAddr, kept: Kept) -> Called {
        let call = spawn_blocking(move || {
            let mut called = self.send_once(upstream, &kept);
            for _ in 0..self.redirects {
                if called.kind == Kind::Status(302) {
                    called = self.send_once(upstream, &kept);
                }
            }
            called
        });
        match timeout(self.timeout, call).await {
            Ok(called) => called.unwrap(),
            Err(_) => Kind::Late.into(),
        }
    }

    fn send_once(self, upstream: SocketAddr, kept: &Kept) -> Called {
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {upstream}\r\nAuthorization: Bearer {}\r\n\r\n",
            self.target,
            env::bench_value(&env::UPSTREAM_API_KEY)
        );
        let open = || Connection::open_within(upstream, self.connect_timeout);
        let earlier = kept.lock().unwrap().take();
        let mut connection = match earlier.map_or_else(open, Ok) {
            Ok(connection) => connection,
            Err(error) if is_timeout(&error) => return Kind::Unreachable.into(),
            Err(_) => return Kind::Refused.into(),
        };
        if connection.send(request).is_err() {
            return Kind::Reset.into();
        }
        match connection.readable_within(self.first_byte_timeout) {
            Ok(true) => {}
            Ok(false) => return Kind::Late.into(),
            Err(_) => return Kind::Reset.into(),
        }
        let answer = match connection.answer() {
            Ok(answer) => answer,
            Err(error) if is_timeout(&error) => return Kind::Late.into(),
            Err(error) if error.to_string() == "reading the body" => return Kind::Truncated.into(),
            Err(_) => return Kind::Reset.into(),
        };
        if self.keeps && !answer.closes {
            *kept.lock().unwrap() = Some(connection);
        }
        let body = answer.body;
        let kind = match schema::json::from_slice::<Product<'_>>(&body) {
            _ if answer.status != 200 => Kind::Status(answer.status),
            Ok(_) if body.len() > UPSTREAM_BODY_MAX_BYTES => Kind::Huge,
            Ok(_) => Kind::Product,
            Err(Rejection::Malformed) => Kind::Malformed,
            Err(Rejection::Invalid { .. }) => Kind::OtherShape,
        };
        Called { kind, body }
    }
}

impl From<Kind> for Called {
    fn from(kind: Kind) -> Self {
        let body = Vec::new();
        Self { kind, body }
    }
}

/// Responds with 200 and the product, decoded and encoded.
pub(crate) fn product(body: &[u8]) -> Response<Body> {
    json(200, encoded(body))
}

/// Decodes and encodes a product.
pub(crate) fn encoded(body: &[u8]) -> String {
    let product: Product<'_> = schema::json::from_slice(body).unwrap();
    serde_json::to_string(&product).unwrap()
}

/// Responds by `respond` to calls of one kind.
pub(crate) fn on(
    kind: Kind,
    respond: impl Fn(&[u8]) -> Response<Body>,
) -> impl Fn(&Called) -> Option<Response<Body>> {
    move |called| (called.kind == kind).then(|| respond(&called.body))
}

/// Creates a mutant that responds as the contract says to a call of its own.
pub(crate) fn with_call(name: &str, trips: &str, call: Call) -> Mutant {
    calls(name, trips, call, |_| None)
}

/// Creates a mutant that calls the upstream correctly, and responds by `respond` or, where that
/// returns none, as the contract says.
pub(crate) fn with_response(
    name: &str,
    trips: &str,
    respond: impl Fn(&Called) -> Option<Response<Body>> + Send + Sync + 'static,
) -> Mutant {
    calls(name, trips, Call::RIGHT, respond)
}

fn calls(
    name: &str,
    trips: &str,
    call: Call,
    respond: impl Fn(&Called) -> Option<Response<Body>> + Send + Sync + 'static,
) -> Mutant {
    let permits = Arc::new(Semaphore::new(CALLS_MAX));
    let kept = Kept::default();
    let respond = Arc::new(respond);
    Mutant::new(name, trips, move |target, request| {
        let (permits, respond) = (Arc::clone(&permits), Arc::clone(&respond));
        let kept = Arc::clone(&kept);
        async move {
            if request.uri().path() != CATALOG || request.method() != Method::GET {
                return target.respond(request).await;
            }
            let _permit = permits.acquire().await.unwrap();
            let called = call.send(target.upstream, kept).await;
            respond(&called).unwrap_or_else(|| match called.kind {
                Kind::Product => product(&called.body),
                Kind::Late | Kind::Unreachable => error(ErrorCode::UpstreamTimeout),
                _ => error(ErrorCode::UpstreamUnavailable),
            })
        }
    })
}

fn is_timeout(error: &anyhow::Error) -> bool {
    let error = error.root_cause().downcast_ref::<std::io::Error>();
    error.is_some_and(|error| matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock))
}
