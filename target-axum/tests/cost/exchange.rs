//! A fixed exchange: the four scenarios' requests one after the other on one connection, with an
//! upstream of one answer. Neither side allocates per request. Client and peers may pause before they
//! send, so that a target always waits for them by then, and does the same each time.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread::{self, sleep};
use std::time::Duration;

use load::input::fixture;
use load::scenario::Scenario;
use schema::{env, fixtures};

/// The profiles.
pub(crate) const CLIENTS: [&str; 2] = ["idiomatic", "tuned"];

/// What a target of these tests has beside the bench values. One connection to each side is enough
/// for one request at a time; a pool that opens another now and then would be counted with it.
pub(crate) fn environment(
    clients: &str,
    upstream: SocketAddr,
    postgres: u16,
) -> [(&'static str, String); 6] {
    [
        ("PROFILE", clients.to_owned()),
        ("UPSTREAM_URL", format!("http://{upstream}")),
        ("UPSTREAM_POOL_SIZE", "1".to_owned()),
        ("DB_HOST", Ipv4Addr::LOCALHOST.to_string()),
        ("DB_PORT", postgres.to_string()),
        ("DB_POOL_SIZE", "1".to_owned()),
    ]
}

/// Starts an upstream that has one answer for everybody, headers as the suite's own has them.
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
                // A request comes in one piece: it is small, and sent by one write.
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

/// Starts a relay to Postgres that pauses before it passes on what comes from there.
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
    // The other side may be gone already.
    let _ = to.shutdown(Shutdown::Write);
}

/// A client on one connection.
pub(crate) struct Client {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(target: SocketAddr, scenario: Scenario) -> Self {
        let stream = TcpStream::connect(target).unwrap();
        stream.set_nodelay(true).unwrap();
        let secret = env::bench_value(&env::JWT_SECRET);
        let [input] = fixture(scenario, target, secret).try_into().unwrap();
        Self {
            stream,
            request: input.bytes,
            answer: vec![0; 4096],
        }
    }

    /// Asks so often, one after the other.
    pub(crate) fn ask(&mut self, requests: u32, pause: Duration) {
        for _ in 0..requests {
            sleep(pause);
            self.stream.write_all(&self.request).unwrap();
            let mut length = 0;
            // All answers are objects: no head ends so.
            while !self.answer[..length].ends_with(b"}") {
                let read = self.stream.read(&mut self.answer[length..]).unwrap();
                assert_ne!(read, 0, "the target has closed the connection");
                length += read;
            }
            assert!(self.answer.starts_with(b"HTTP/1.1 20"));
        }
    }
}
