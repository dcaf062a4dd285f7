//! A server that responds to every request by a function.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use schema::fixtures;

/// A request that waits for its response.
pub(crate) struct Exchange<'a> {
    pub(crate) stream: &'a mut TcpStream,
    pub(crate) head: &'a str,
    pub(crate) body: &'a [u8],
    /// Requests before it, on all connections.
    pub(crate) before: u64,
    /// It is the first on its connection.
    pub(crate) is_first: bool,
}

impl Exchange<'_> {
    pub(crate) fn respond(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }
}

/// Serves on a free port until the test process ends. A connection is closed when `respond` fails.
pub(crate) fn serve(
    respond: impl Fn(Exchange<'_>) -> io::Result<()> + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let respond = Arc::new(respond);
    let count = Arc::new(AtomicU64::new(0));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (respond, count) = (Arc::clone(&respond), Arc::clone(&count));
            thread::spawn(move || connection(stream.unwrap(), &*respond, &count));
        }
    });
    address
}

fn connection(
    mut stream: TcpStream,
    respond: &dyn Fn(Exchange<'_>) -> io::Result<()>,
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
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        reader.read_exact(&mut body)?;
        respond(Exchange {
            stream: &mut stream,
            head: &head,
            body: &body,
            before: count.fetch_add(1, Ordering::SeqCst),
            is_first,
        })?;
        is_first = false;
    }
}

/// Returns an error that makes the server close the connection.
pub(crate) fn close() -> io::Result<()> {
    Err(io::ErrorKind::ConnectionAborted.into())
}

/// Returns the body of a right response to `GET /info`.
pub(crate) fn body() -> String {
    serde_json::to_string(&fixtures::info()).unwrap()
}

/// Returns a right response to `GET /info`.
pub(crate) fn right() -> String {
    response_with(&body())
}

/// Returns a response with a right head and this body.
pub(crate) fn response_with(body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-response-id: 1\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}
