//! Runs the real upstream on port 0, over bare sockets.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod data;
mod faults;
mod process;

use std::net::Ipv4Addr;
use std::num::NonZeroUsize;

use schema::env;
use serve::{Background, Server};
use testbed::raw::{Answer, Connection};
use upstream::Config;

/// An upstream in this process, with the bench key.
struct Upstream(Background);

impl Upstream {
    fn start() -> Self {
        Self::with_faults("1")
    }

    fn with_faults(faults: &str) -> Self {
        let config = Config::read(|name| match name {
            "UPSTREAM_FAULTS" => Some(faults.into()),
            _ => env::bench_lookup(name),
        })
        .unwrap();
        let listener = serve::bind(Ipv4Addr::LOCALHOST.into(), 0).unwrap();
        let make_service = move |_| Ok(upstream::service(&config));
        let server = Server::new(NonZeroUsize::MIN);
        Self(server.spawn(listener, make_service).unwrap())
    }

    fn connect(&self) -> Connection {
        Connection::open(self.0.address()).unwrap()
    }

    /// Sends a request with the bench key on a new connection.
    fn ask(&self, method: &str, path: &str) -> Answer {
        self.connect().ask(request(method, path)).unwrap()
    }
}

fn bearer() -> String {
    format!("Bearer {}", env::bench_value(&env::UPSTREAM_API_KEY))
}

/// Returns a request with the bench key.
fn request(method: &str, path: &str) -> String {
    request_with(method, path, &[&bearer()])
}

/// Returns a request with these Authorization headers.
fn request_with(method: &str, path: &str, authorization: &[&str]) -> String {
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: upstream\r\n");
    for value in authorization {
        request += &format!("authorization: {value}\r\n");
    }
    request + "\r\n"
}
