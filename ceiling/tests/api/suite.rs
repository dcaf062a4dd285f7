//! The processes of the tests, and their requests.

use std::net::Ipv4Addr;
use std::num::NonZeroUsize;
use std::process::Command;
use std::sync::{LazyLock, Mutex};

use schema::env;
use serve::{Background, Server};
use testbed::child::Service;
use testbed::postgres::TemporaryPostgres;
use testbed::raw::{Answer, Connection};

/// The Postgres of every test that does not stop it.
static POSTGRES: LazyLock<Mutex<TemporaryPostgres>> =
    LazyLock::new(|| Mutex::new(TemporaryPostgres::start().unwrap()));

/// The ceiling as a process, and its upstream.
pub(crate) struct Ceiling {
    pub(crate) service: Service,
    /// None if the test has set `UPSTREAM_URL`.
    pub(crate) upstream: Option<Background>,
}

impl Ceiling {
    /// Starts it with an upstream and the shared Postgres.
    pub(crate) fn start() -> Self {
        Self::start_with(POSTGRES.lock().unwrap().port(), &[])
    }

    /// Starts it with the Postgres on this port, and with these variables.
    pub(crate) fn start_with(postgres_port: u16, variables: &[(&str, &str)]) -> Self {
        let is_set = |name| variables.iter().any(|(known, _)| *known == name);
        let upstream = (!is_set("UPSTREAM_URL")).then(|| start_upstream(0));
        let mut command = command();
        if let Some(upstream) = &upstream {
            command.env("UPSTREAM_URL", format!("http://{}", upstream.address()));
        }
        command
            .env("DB_HOST", "127.0.0.1")
            .env("DB_PORT", postgres_port.to_string())
            .envs(variables.iter().copied());
        Self {
            service: Service::start(&mut command).unwrap(),
            upstream,
        }
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.service.address()).unwrap()
    }

    /// Sends `GET path` on a new connection.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.connect().ask(get(path)).unwrap()
    }
}

pub(crate) fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_ceiling"))
}

/// Starts an upstream with faults.
pub(crate) fn start_upstream(port: u16) -> Background {
    let config = upstream::Config::read(|name| match name {
        "UPSTREAM_FAULTS" => Some("1".into()),
        _ => env::bench_lookup(name),
    })
    .unwrap();
    let listener = serve::bind(Ipv4Addr::LOCALHOST.into(), port).unwrap();
    let make_service = move |_| Ok(upstream::service(&config));
    let server = Server::new(NonZeroUsize::MIN);
    server.spawn(listener, make_service).unwrap()
}

pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: ceiling\r\n\r\n")
}

pub(crate) fn post_movie(body: &str) -> String {
    let length = body.len();
    format!("POST /movies HTTP/1.1\r\nHost: ceiling\r\nContent-Length: {length}\r\n\r\n{body}")
}
