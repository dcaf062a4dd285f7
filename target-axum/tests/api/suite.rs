//! What the tests start, and how they ask it.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::{LazyLock, Mutex};

use schema::{Claims, ErrorBody, ErrorCode, env, fixtures};
use serde_json::{Value, json};
use serve::{Background, Server, Worker};
use target_axum::{AppState, Config};
use testbed::postgres::TemporaryPostgres;
use testbed::raw::{Answer, Connection};
use testbed::token;

/// The Postgres of every test that does not stop or change it.
static POSTGRES: LazyLock<Mutex<TemporaryPostgres>> =
    LazyLock::new(|| Mutex::new(TemporaryPostgres::start().unwrap()));

/// Where the shared Postgres listens.
pub(crate) fn postgres_port() -> u16 {
    POSTGRES.lock().unwrap().port()
}

/// A port of 127.0.0.1 that nobody listens on.
pub(crate) fn free_port() -> u16 {
    let listener = serve::bind(Ipv4Addr::LOCALHOST.into(), 0).unwrap();
    listener.local_addr().unwrap().port()
}

/// Starts an upstream that shows faults when asked.
pub(crate) fn start_upstream(port: u16) -> Background {
    let config = upstream::Config::read(|name| match name {
        "UPSTREAM_FAULTS" => Some("1".into()),
        _ => env::bench_lookup(name),
    })
    .unwrap();
    let listener = serve::bind(Ipv4Addr::LOCALHOST.into(), port).unwrap();
    let make_service = move |_| Ok(upstream::service(&config));
    Server::new(NonZeroUsize::MIN)
        .spawn(listener, make_service)
        .unwrap()
}

/// A target in this process, and what it needs.
pub(crate) struct Target {
    server: Background,
    /// None if the test set `UPSTREAM_URL`.
    _upstream: Option<Background>,
}

impl Target {
    /// With an upstream and the shared Postgres.
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// As [`Target::start`], with these variables set otherwise.
    pub(crate) fn with(variables: &[(&str, &str)]) -> Self {
        let set = |name| variables.iter().any(|(known, _)| *known == name);
        let upstream = (!set("UPSTREAM_URL")).then(|| start_upstream(0));
        let url = upstream
            .as_ref()
            .map(|upstream| format!("http://{}", upstream.address()));
        let database_port = match set("DB_PORT") {
            true => None,
            false => Some(postgres_port().to_string()),
        };
        let config = Config::read(|name| {
            let own = variables.iter().find(|(known, _)| *known == name);
            match name {
                _ if own.is_some() => own.map(|(_, value)| value.into()),
                "PROFILE" => Some(crate::CLIENTS.into()),
                "UPSTREAM_URL" => url.as_ref().map(Into::into),
                "DB_HOST" => Some("127.0.0.1".into()),
                "DB_PORT" => database_port.as_ref().map(Into::into),
                _ => env::bench_lookup(name),
            }
        })
        .unwrap();
        let listener = serve::bind(Ipv4Addr::LOCALHOST.into(), 0).unwrap();
        let workers = config.listen.workers;
        let make_service =
            move |worker: Worker| AppState::new(&config, worker).map(target_axum::service);
        let server = Server::new(workers).spawn(listener, make_service).unwrap();
        Self {
            server,
            _upstream: upstream,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address()).unwrap()
    }

    /// `GET` without a token.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask(request("GET", path, &[], ""))
    }

    /// `GET` with a token for these claims.
    pub(crate) fn get_as(&self, path: &str, claims: &Claims) -> Answer {
        self.ask(request("GET", path, &[&authorization(claims)], ""))
    }

    /// `POST /movies` with the bench token and this JSON body.
    pub(crate) fn post_movie(&self, body: impl AsRef<[u8]>) -> Answer {
        let headers = [&*authorization(&fixtures::claims()), JSON];
        let mut request = request("POST", "/movies", &headers, "").into_bytes();
        let length = format!("content-length: {}\r\n\r\n", body.as_ref().len());
        request.truncate(request.len() - 2);
        request.extend_from_slice(length.as_bytes());
        request.extend_from_slice(body.as_ref());
        self.ask(request)
    }

    /// Sends a request on a connection of its own.
    pub(crate) fn ask(&self, request: impl AsRef<[u8]>) -> Answer {
        self.connect().ask(request).unwrap()
    }
}

pub(crate) const JSON: &str = "content-type: application/json";

/// A request with these header lines; a body gets its content length.
pub(crate) fn request(method: &str, path: &str, headers: &[&str], body: &str) -> String {
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: target\r\n");
    for header in headers {
        request += &format!("{header}\r\n");
    }
    if !body.is_empty() {
        request += &format!("content-length: {}\r\n", body.len());
    }
    request + "\r\n" + body
}

/// The header line of a token for these claims.
pub(crate) fn authorization(claims: &Claims) -> String {
    let secret = env::bench_value(&env::JWT_SECRET);
    format!("authorization: Bearer {}", token::sign(claims, secret))
}

/// The bench claims of another user.
pub(crate) fn claims_of(sub: &str) -> Claims {
    Claims {
        sub: sub.to_owned(),
        ..fixtures::claims()
    }
}

/// The body as JSON.
pub(crate) fn body(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

/// A whole error: status, headers, and a body of the phrase alone.
#[track_caller]
pub(crate) fn assert_error(answer: &Answer, code: ErrorCode) {
    assert_error_body(answer, code, &json!({"error": code.phrase()}));
}

/// A whole error with a detail.
#[track_caller]
pub(crate) fn assert_error_detail(answer: &Answer, code: ErrorCode, detail: &str) {
    assert_error_body(
        answer,
        code,
        &json!({"error": code.phrase(), "detail": detail}),
    );
}

#[track_caller]
fn assert_error_body(answer: &Answer, code: ErrorCode, expected: &Value) {
    assert_eq!(answer.status, code.status(), "{}", answer.text());
    assert_eq!(body(answer), *expected);
    assert!(serde_json::from_slice::<ErrorBody<'_>>(&answer.body).is_ok());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let bearer = (code.status() == 401).then_some("Bearer");
    assert_eq!(answer.header("www-authenticate"), bearer);
    assert_eq!(answer.header("retry-after").is_some(), code.status() == 503);
}
