//! A server that answers every request by a function.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use schema::fixtures;

/// One request, to be answered.
pub(crate) struct Asked<'a> {
    pub(crate) stream: &'a mut TcpStream,
    /// The head.
    pub(crate) head: &'a str,
    /// How many requests came before it, on all connections.
    pub(crate) before: u64,
    /// Whether it is the first on its connection.
    pub(crate) is_first: bool,
}

/// Serves on a free port until the test process ends. A connection is closed when a request on it
/// fails.
pub(crate) fn serve(
    answer: impl Fn(Asked<'_>) -> io::Result<()> + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    let count = Arc::new(AtomicU64::new(0));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (answer, count) = (Arc::clone(&answer), Arc::clone(&count));
            thread::spawn(move || connection(stream.unwrap(), &*answer, &count));
        }
    });
    address
}

fn connection(
    mut stream: TcpStream,
    answer: &dyn Fn(Asked<'_>) -> io::Result<()>,
    count: &AtomicU64,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut is_first = true;
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        answer(Asked {
            stream: &mut stream,
            head: &head,
            before: count.fetch_add(1, Ordering::SeqCst),
            is_first,
        })?;
        is_first = false;
    }
}

impl Asked<'_> {
    pub(crate) fn answer(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }
}

/// Ends the connection.
pub(crate) fn closed() -> io::Result<()> {
    Err(io::ErrorKind::ConnectionAborted.into())
}

/// The body of a right answer to `GET /info`.
pub(crate) fn body() -> String {
    serde_json::to_string(&fixtures::info()).unwrap()
}

/// A right answer to `GET /info`.
pub(crate) fn right() -> String {
    with_body(&body())
}

/// A right head, and this body.
pub(crate) fn with_body(body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-response-id: 1\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}
