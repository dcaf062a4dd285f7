//! The client of the load: it reuses connections and opens new ones where none is idle (RFC 9112,
//! 9.3). A request on a reused connection that is closed before its response is sent once more.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use testbed::http1;

/// Most idle connections that are kept.
const IDLE_MAX: usize = 256;

/// Longest response.
const RESPONSE_MAX_BYTES: usize = 1024 * 1024;

/// A client with idle connections. The most recently used is taken first, so that few are in use. A
/// kept connection is used even if new ones go to another address, as behind a load balancer.
#[derive(Debug, Default)]
pub(crate) struct Client {
    idle: Mutex<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    streams: Vec<TcpStream>,
    /// Number of calls of `close_all`: connections that were in use then are not kept.
    generation: u64,
}

/// The reply to a request.
#[derive(Debug, PartialEq)]
pub(crate) enum Reply {
    Response(Response),
    /// No connection could be opened.
    Refused,
    /// The connection ended before the response did.
    Broken,
    /// The bytes are not exactly one response, for this reason.
    Invalid(&'static str),
}

/// A complete response.
#[derive(Debug, PartialEq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) is_json: bool,
    pub(crate) has_retry_after: bool,
    /// The value of the requested header.
    pub(crate) header: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Client {
    /// Sends a request and returns the reply and whether the request was sent twice. With `churn`, it
    /// uses a new connection. `header` is the name of a header to return.
    ///
    /// `POST /movies` is repeated like the others: the contender stores nothing.
    pub(crate) async fn send(
        &self,
        address: SocketAddr,
        request: &[u8],
        header: Option<&str>,
        churn: bool,
    ) -> (Reply, bool) {
        let mut retried = false;
        let generation = self.idle().generation;
        if !churn && let Some(mut stream) = self.take() {
            match is_idle(&stream) {
                Ok(true) => match exchange(&mut stream, request, header).await {
                    Ok(exchanged) => return (self.keep(stream, exchanged, generation), false),
                    Err(Ended::InResponse) => return (Reply::Broken, false),
                    Err(Ended::BeforeResponse) => retried = true,
                },
                Ok(false) => return (Reply::Invalid("data on an idle connection"), false),
                // Closed while it was idle.
                Err(_) => {}
            }
        }
        let Ok(mut stream) = TcpStream::connect(address).await else {
            return (Reply::Refused, retried);
        };
        let _ = stream.set_nodelay(true);
        match exchange(&mut stream, request, header).await {
            Ok((reply, _)) if churn => (reply, retried),
            Ok(exchanged) => (self.keep(stream, exchanged, generation), retried),
            Err(_) => (Reply::Broken, retried),
        }
    }

    /// Closes all connections: idle ones now, others after their response.
    pub(crate) fn close_all(&self) {
        let mut idle = self.idle();
        idle.streams.clear();
        idle.generation += 1;
    }

    fn keep(&self, stream: TcpStream, (reply, reusable): (Reply, bool), generation: u64) -> Reply {
        let mut idle = self.idle();
        if reusable && idle.generation == generation && idle.streams.len() < IDLE_MAX {
            idle.streams.push(stream);
        }
        reply
    }

    fn take(&self) -> Option<TcpStream> {
        self.idle().streams.pop()
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When a connection ended, relative to the response.
enum Ended {
    BeforeResponse,
    InResponse,
}

/// Returns true if a connection is open and has no data; an error if it is closed.
fn is_idle(stream: &TcpStream) -> io::Result<bool> {
    match stream.try_read(&mut [0]) {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Ok(_) => Ok(false),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
        Err(error) => Err(error),
    }
}

/// Sends a request and reads the reply; also returns whether the connection can be reused.
async fn exchange(
    stream: &mut TcpStream,
    request: &[u8],
    header: Option<&str>,
) -> Result<(Reply, bool), Ended> {
    // The server may respond and close before it has read all: the response is read all the same.
    let _ = stream.write_all(request).await;
    let mut buffer = Vec::with_capacity(2048);
    loop {
        let ended = match stream.read_buf(&mut buffer).await {
            Ok(read) => read == 0,
            Err(_) if buffer.is_empty() => return Err(Ended::BeforeResponse),
            Err(_) => return Err(Ended::InResponse),
        };
        if ended && buffer.is_empty() {
            return Err(Ended::BeforeResponse);
        }
        match http1::response(&mut buffer, ended, None) {
            Ok(Some(parsed)) if parsed.end < buffer.len() => {
                return Ok((Reply::Invalid("more than one response"), false));
            }
            Ok(Some(parsed)) => {
                let reusable = !parsed.closes && !ended;
                return Ok((
                    Reply::Response(to_response(&buffer, &parsed, header)),
                    reusable,
                ));
            }
            Ok(None) if ended => return Err(Ended::InResponse),
            Ok(None) if buffer.len() > RESPONSE_MAX_BYTES => {
                return Ok((Reply::Invalid("a response without end"), false));
            }
            Ok(None) => {}
            Err(_) => return Ok((Reply::Invalid("not HTTP/1"), false)),
        }
    }
}

fn to_response(buffer: &[u8], parsed: &http1::Response, header: Option<&str>) -> Response {
    let mut has_retry_after = false;
    let mut values = Vec::new();
    // Cannot fail: the head was parsed before.
    let _ = http1::head(&buffer[parsed.start..], |name, value| {
        has_retry_after |= name.eq_ignore_ascii_case("retry-after");
        if header.is_some_and(|header| header.eq_ignore_ascii_case(name)) {
            values.push(String::from_utf8(value.to_vec()));
        }
    });
    let header = match values.len() {
        1 => values.remove(0).ok(),
        _ => None,
    };
    Response {
        status: parsed.status,
        is_json: parsed.is_json,
        has_retry_after,
        header,
        body: buffer[parsed.body.clone()].to_vec(),
    }
}
