//! The real upstream on port 0, asked over bare sockets.

mod config;
mod data;
mod drain;
mod faults;

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::thread;

use harness::raw::{Answer, Connection};
use schema::env;
use serve::Server;
use tokio::sync::oneshot;
use upstream::Config;

/// An upstream in this process, with the bench key; it stops when it is dropped.
struct Upstream {
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Upstream {
    fn start() -> Self {
        Self::with_faults("1")
    }

    fn with_faults(faults: &str) -> Self {
        let config = Config::read(|name| match name {
            "UPSTREAM_FAULTS" => Some(faults.into()),
            _ => env::bench()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| value.into()),
        })
        .unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        thread::spawn(move || {
            let service = upstream::service(&config);
            let make_service = move |_| Ok::<_, Infallible>(service.clone());
            Server::new(NonZeroUsize::MIN)
                .run(listener, make_service, async { drop(stopped.await) })
                .unwrap();
        });
        Self {
            address,
            _stop: stop,
        }
    }

    /// Sends a request with the bench key on a connection of its own.
    fn ask(&self, method: &str, path: &str) -> anyhow::Result<Answer> {
        self.ask_as(method, path, &[&bearer()])
    }

    /// Sends a request with these Authorization headers on a connection of its own.
    fn ask_as(&self, method: &str, path: &str, authorization: &[&str]) -> anyhow::Result<Answer> {
        Connection::open(self.address)?.ask(request(method, path, authorization))
    }
}

fn bearer() -> String {
    format!("Bearer {}", env::bench_value(&env::UPSTREAM_API_KEY))
}

fn request(method: &str, path: &str, authorization: &[&str]) -> String {
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: upstream\r\n");
    for value in authorization {
        request += &format!("authorization: {value}\r\n");
    }
    request + "\r\n"
}
