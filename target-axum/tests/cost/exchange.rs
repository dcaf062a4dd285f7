//! A fixed exchange: requests of a scenario one after the other on one connection. Client and upstream
//! do not allocate per request. They may pause before they send, so that the target always waits by
//! then and does the same work each time.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread::{self, sleep};
use std::time::Duration;

use schema::{env, fixtures};
use testbed::token;

pub(crate) const PROFILES: [&str; 2] = ["idiomatic", "tuned"];

/// The scenarios of the public harness.
pub(crate) const SCENARIOS: [&str; 4] = ["info", "movies", "catalog", "users-me"];

/// Returns the request of a scenario.
fn request(scenario: &str) -> String {
    let token = token::sign(&fixtures::claims(), env::bench_value(&env::JWT_SECRET));
    let token = format!("authorization: Bearer {token}");
    let movie = serde_json::to_string(&fixtures::new_movie()).unwrap();
    let (line, headers, body) = match scenario {
        "info" => ("GET /info", String::new(), ""),
        "catalog" => ("GET /catalog", String::new(), ""),
        "users-me" => ("GET /users/me", token, ""),
        _ => {
            let length = movie.len();
            let json = "content-type: application/json";
            let headers = format!("{token}\r\n{json}\r\ncontent-length: {length}");
            ("POST /movies", headers, &*movie)
        }
    };
    let separator = if headers.is_empty() { "" } else { "\r\n" };
    format!("{line} HTTP/1.1\r\nhost: target\r\n{headers}{separator}\r\n{body}")
}

/// Returns the environment of a target beside the bench values. One connection to each side is enough
/// for one request at a time; a pool that opens another one now and then would add noise.
pub(crate) fn environment(
    profile: &str,
    upstream: SocketAddr,
    postgres: u16,
) -> [(&'static str, String); 6] {
    [
        ("PROFILE", profile.to_owned()),
        ("UPSTREAM_URL", format!("http://{upstream}")),
        ("UPSTREAM_POOL_SIZE", "1".to_owned()),
        ("DB_HOST", Ipv4Addr::LOCALHOST.to_string()),
        ("DB_PORT", postgres.to_string()),
        ("DB_POOL_SIZE", "1".to_owned()),
    ]
}

/// Starts an upstream with one answer, whose headers are those of the suite's upstream.
pub(crate) fn start_upstream(pause: Duration) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let body = fixtures::PRODUCT_JSON;
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         date: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n{body}",
        body.len()
    );
    thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = answer.clone();
            thread::spawn(move || {
                let mut stream = stream.unwrap();
                let mut request = [0; 4096];
                // A request arrives in one piece: it is small and sent by one write.
                while stream.read(&mut request).is_ok_and(|read| read > 0) {
                    sleep(pause);
                    if stream.write_all(answer.as_bytes()).is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}

/// Starts a relay to Postgres that pauses before it passes on an answer.
pub(crate) fn start_relay(postgres: u16, pause: Duration) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let server = TcpStream::connect((Ipv4Addr::LOCALHOST, postgres)).unwrap();
            let from_client = client.try_clone().unwrap();
            let to_server = server.try_clone().unwrap();
            thread::spawn(move || pass(from_client, to_server, Duration::ZERO));
            thread::spawn(move || pass(server, client, pause));
        }
    });
    port
}

fn pass(mut from: TcpStream, mut to: TcpStream, pause: Duration) {
    let mut bytes = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        sleep(pause);
        if to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    // The other side may have closed its end.
    let _ = to.shutdown(Shutdown::Write);
}

/// A client on one connection.
pub(crate) struct Client {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(target: SocketAddr, scenario: &str) -> Self {
        let stream = TcpStream::connect(target).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            request: request(scenario).into_bytes(),
            answer: vec![0; 4096],
        }
    }

    /// Sends requests one after the other.
    pub(crate) fn ask(&mut self, requests: u32, pause: Duration) {
        for _ in 0..requests {
            sleep(pause);
            self.stream.write_all(&self.request).unwrap();
            let mut length = 0;
            // Every answer is an object, and no head ends like one.
            while !self.answer[..length].ends_with(b"}") {
                let read = self.stream.read(&mut self.answer[length..]).unwrap();
                assert_ne!(read, 0, "the target has closed the connection");
                length += read;
            }
            assert!(self.answer.starts_with(b"HTTP/1.1 20"));
        }
    }
}
