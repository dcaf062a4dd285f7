//! A fixed exchange: the four scenarios' requests one after the other on one connection, with an
//! upstream that answers at once. Neither side allocates per request.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use harness::bench::input::fixture;
use harness::bench::scenario::Scenario;
use schema::{env, fixtures};

/// The profiles.
pub(crate) const CLIENTS: [&str; 2] = ["idiomatic", "tuned"];

/// Starts an upstream that has one answer for everybody, headers as the suite's own has them.
pub(crate) fn start_upstream() -> SocketAddr {
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
                    if stream.write_all(answer.as_bytes()).is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
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
    pub(crate) fn ask(&mut self, requests: u32) {
        for _ in 0..requests {
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
