//! The services that the tests start, the requests they send, and the errors they expect.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::process::Command;
use std::sync::{LazyLock, Mutex};
use std::thread;
use std::time::Duration;

use schema::{Claims, ErrorBody, ErrorCode, env, fixtures};
use serde_json::{Value, json};
use serve::{Background, Server, Worker};
use target_axum::{AppState, Config};
use testbed::child::Service;
use testbed::postgres::TemporaryPostgres;
use testbed::raw::{Answer, Connection};
use testbed::token;

/// The time by which a deadline may be exceeded on a busy machine.
pub(crate) const LATE: Duration = Duration::from_secs(3);

/// The Postgres of every test that neither stops nor changes it.
static POSTGRES: LazyLock<Mutex<TemporaryPostgres>> =
    LazyLock::new(|| Mutex::new(TemporaryPostgres::start().unwrap()));

/// Returns the port of the shared Postgres.
pub(crate) fn postgres_port() -> u16 {
    POSTGRES.lock().unwrap().port()
}

/// Returns a port of 127.0.0.1 without a listener.
pub(crate) fn free_port() -> u16 {
    let listener = serve::bind(Ipv4Addr::LOCALHOST.into(), 0).unwrap();
    listener.local_addr().unwrap().port()
}

/// Starts an upstream with its faults.
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

/// The value of `PROFILE` for a target.
#[derive(Clone, Copy)]
pub(crate) struct Profile(pub(crate) &'static str);

pub(crate) const IDIOMATIC: Profile = Profile("idiomatic");
pub(crate) const TUNED: Profile = Profile("tuned");

/// Runs a test in both profiles at the same time, each in a thread with the profile's name.
pub(crate) fn each_profile(test: impl Fn(Profile) + Sync) {
    let test = &test;
    thread::scope(|scope| {
        for profile in [IDIOMATIC, TUNED] {
            let thread = thread::Builder::new().name(profile.0.to_owned());
            thread.spawn_scoped(scope, move || test(profile)).unwrap();
        }
    });
}

impl Profile {
    /// Starts a target with an upstream and the shared Postgres.
    pub(crate) fn start(self) -> Target {
        self.with(&[])
    }

    /// Starts a target as [`Self::start`] does, with other values for these variables.
    pub(crate) fn with(self, variables: &[(&str, &str)]) -> Target {
        let is_set = |name| variables.iter().any(|(known, _)| *known == name);
        let upstream = (!is_set("UPSTREAM_URL")).then(|| start_upstream(0));
        let url = upstream.as_ref().map_or_else(String::new, |upstream| {
            format!("http://{}", upstream.address())
        });
        let config = self.config(&[&[("UPSTREAM_URL", &*url)], variables].concat());
        let listener = serve::bind(Ipv4Addr::LOCALHOST.into(), 0).unwrap();
        let workers = config.listen.workers;
        let make_service =
            move |worker: Worker| AppState::new(&config, worker).map(target_axum::service);
        let server = Server::new(workers).spawn(listener, make_service).unwrap();
        Target {
            server,
            _upstream: upstream,
        }
    }

    /// Returns the configuration of a target with these variables, a later one before an earlier one,
    /// and the shared Postgres.
    pub(crate) fn config(self, variables: &[(&str, &str)]) -> Config {
        let lookup = |name: &str| {
            let own = variables.iter().rev().find(|(known, _)| *known == name);
            match name {
                _ if own.is_some() => own.map(|(_, value)| value.into()),
                "PROFILE" => Some(self.0.into()),
                "DB_HOST" => Some("127.0.0.1".into()),
                "DB_PORT" => Some(postgres_port().to_string().into()),
                _ => env::bench_lookup(name),
            }
        };
        Config::read(lookup).unwrap()
    }

    /// Starts a target with a Postgres of its own.
    pub(crate) fn with_own_postgres(
        self,
        variables: &[(&str, &str)],
    ) -> (Target, TemporaryPostgres) {
        let postgres = TemporaryPostgres::start().unwrap();
        let port = postgres.port().to_string();
        let target = self.with(&[variables, &[("DB_PORT", &*port)]].concat());
        (target, postgres)
    }

    /// Starts the executable, with this upstream and the shared Postgres.
    pub(crate) fn start_process(self, upstream_url: &str) -> Service {
        self.start_process_with(upstream_url, &[])
    }

    /// Starts the executable as [`Self::start_process`] does, with more variables.
    pub(crate) fn start_process_with(
        self,
        upstream_url: &str,
        variables: &[(&str, &str)],
    ) -> Service {
        let mut command = Command::new(env!("CARGO_BIN_EXE_target-axum"));
        command
            .env("PROFILE", self.0)
            .env("UPSTREAM_URL", upstream_url)
            .env("DB_HOST", "127.0.0.1")
            .env("DB_PORT", postgres_port().to_string())
            .envs(variables.iter().copied());
        Service::start(&mut command).unwrap()
    }
}

/// A target in this process.
pub(crate) struct Target {
    server: Background,
    /// `None` if the test set `UPSTREAM_URL`.
    _upstream: Option<Background>,
}

impl Target {
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address()).unwrap()
    }

    /// Opens many connections.
    pub(crate) fn connections(&self, count: usize) -> Vec<Connection> {
        (0..count).map(|_| self.connect()).collect()
    }

    /// Sends a request on a new connection.
    pub(crate) fn ask(&self, request: impl AsRef<[u8]>) -> Answer {
        self.connect().ask(request).unwrap()
    }

    /// Sends `GET` without a token.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask(get(path))
    }

    /// Sends `POST /movies` with the bench token and this JSON body.
    pub(crate) fn post_movie(&self, body: impl AsRef<[u8]>) -> Answer {
        self.ask(post_movie(&[], body))
    }
}

/// Sends a request on all connections at once and returns the answers.
pub(crate) fn ask_all(connections: &mut [Connection], request: &str) -> Vec<Answer> {
    for connection in &mut *connections {
        connection.send(request).unwrap();
    }
    answers(connections)
}

/// Reads an answer from each connection.
pub(crate) fn answers(connections: &mut [Connection]) -> Vec<Answer> {
    let answers = connections.iter_mut().map(Connection::answer);
    answers.map(Result::unwrap).collect()
}

pub(crate) const JSON: &str = "content-type: application/json";

/// Returns a request with these header lines; a body adds its content length.
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

/// Returns `GET` without a token.
pub(crate) fn get(path: &str) -> String {
    request("GET", path, &[], "")
}

/// Returns `GET /users/me` for a user.
pub(crate) fn get_user(sub: &str) -> String {
    request("GET", "/users/me", &[&authorization(&claims_of(sub))], "")
}

/// Returns `GET /users/me` for the bench user.
pub(crate) fn get_me() -> String {
    get_user(&fixtures::claims().sub)
}

/// Returns `POST /movies` with the bench token, these header lines and this JSON body.
pub(crate) fn post_movie(headers: &[&str], body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let token = authorization(&fixtures::claims());
    let length = format!("content-length: {}", body.len());
    let lines = [&[&*token, JSON, &*length], headers].concat();
    let mut request = request("POST", "/movies", &lines, "").into_bytes();
    request.extend_from_slice(body);
    request
}

/// Returns the head of `POST /movies` with the bench token and these header lines.
pub(crate) fn movie_head(headers: &[&str]) -> String {
    let token = authorization(&fixtures::claims());
    request("POST", "/movies", &[&[&*token, JSON], headers].concat(), "")
}

/// Returns the bench movie as JSON.
pub(crate) fn movie() -> String {
    serde_json::to_string(&fixtures::new_movie()).unwrap()
}

/// Returns the header line of a token for these claims.
pub(crate) fn authorization(claims: &Claims) -> String {
    let secret = env::bench_value(&env::JWT_SECRET);
    format!("authorization: Bearer {}", token::sign(claims, secret))
}

/// Returns the bench claims of another user.
pub(crate) fn claims_of(sub: &str) -> Claims {
    Claims {
        sub: sub.to_owned(),
        ..fixtures::claims()
    }
}

/// Returns the body as JSON.
pub(crate) fn body(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

/// Asserts a whole error: status, headers, and a body without a detail.
#[track_caller]
pub(crate) fn assert_error(answer: &Answer, code: ErrorCode) {
    assert_error_body(answer, code, &json!({"error": code.phrase()}));
}

/// Asserts a whole error with a detail.
#[track_caller]
pub(crate) fn assert_error_detail(answer: &Answer, code: ErrorCode, detail: &str) {
    let body = json!({"error": code.phrase(), "detail": detail});
    assert_error_body(answer, code, &body);
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
