//! The client of the load: kept connections, and new ones wherever none is free. It follows the
//! rules of keeping them (RFC 9112, 9.3): what a server closes before a byte of its answer is asked
//! again on a new connection, once.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use testbed::http1::{self, Response};

/// Most connections that are kept while nothing is asked on them.
const KEPT_MAX: usize = 256;

/// Longest answer.
const ANSWER_MAX_BYTES: usize = 1024 * 1024;

/// Connections on which nothing is asked now; the one that was used last is used first, so that few
/// are in use. One that is open is used wherever new ones go meanwhile, as behind a balancer.
#[derive(Debug, Default)]
pub(super) struct Client {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    streams: Vec<TcpStream>,
    /// How many times all were forgotten: what was in use then is not kept afterwards.
    forgotten: u64,
}

/// What came of a request.
#[derive(Debug, PartialEq)]
pub(super) enum Came {
    /// A whole answer.
    Answer(Answer),
    /// No connection was made: nothing was asked.
    Refused,
    /// The connection ended before the answer did.
    Broken,
    /// Something else than one answer, and what.
    Nonsense(&'static str),
}

/// A whole answer.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) is_json: bool,
    pub(super) has_retry_after: bool,
    /// The header that was looked for.
    pub(super) header: Option<String>,
    pub(super) body: Vec<u8>,
}

impl Client {
    /// Sends a request and gives what comes, and whether it was sent again. With `churn`, on a
    /// connection of its own. Looks for a header of this name.
    ///
    /// A request to create is sent again like the others: nothing is kept of what was created, so
    /// that it does no harm.
    pub(super) async fn ask(
        &self,
        address: SocketAddr,
        request: &[u8],
        header: Option<&str>,
        churn: bool,
    ) -> (Came, bool) {
        let mut again = false;
        let forgotten = self.kept().forgotten;
        if !churn && let Some(mut stream) = self.take() {
            match is_quiet(&stream) {
                Ok(true) => match exchange(&mut stream, request, header).await {
                    Ok(exchanged) => return (self.done(stream, exchanged, forgotten), false),
                    Err(Lost::InAnswer) => return (Came::Broken, false),
                    Err(Lost::BeforeAnswer) => again = true,
                },
                Ok(false) => return (Came::Nonsense("more than was asked for"), false),
                // Closed while nothing was asked.
                Err(_) => {}
            }
        }
        let Ok(mut stream) = TcpStream::connect(address).await else {
            return (Came::Refused, again);
        };
        let _ = stream.set_nodelay(true);
        match exchange(&mut stream, request, header).await {
            Ok((answer, _)) if churn => (answer, again),
            Ok(exchanged) => (self.done(stream, exchanged, forgotten), again),
            Err(_) => (Came::Broken, again),
        }
    }

    /// Forgets all connections, those too on which something is asked now.
    pub(super) fn forget(&self) {
        let mut kept = self.kept();
        kept.streams.clear();
        kept.forgotten += 1;
    }

    fn done(&self, stream: TcpStream, (came, stays): (Came, bool), forgotten: u64) -> Came {
        let mut kept = self.kept();
        if stays && kept.forgotten == forgotten && kept.streams.len() < KEPT_MAX {
            kept.streams.push(stream);
        }
        came
    }

    fn take(&self) -> Option<TcpStream> {
        self.kept().streams.pop()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When a connection ended.
enum Lost {
    BeforeAnswer,
    InAnswer,
}

/// Whether nothing has come on a connection on which nothing is asked.
fn is_quiet(stream: &TcpStream) -> io::Result<bool> {
    match stream.try_read(&mut [0]) {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Ok(_) => Ok(false),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
        Err(error) => Err(error),
    }
}

/// One request and what comes, and whether the connection can be kept.
async fn exchange(
    stream: &mut TcpStream,
    request: &[u8],
    header: Option<&str>,
) -> Result<(Came, bool), Lost> {
    // An answer may come before all is sent, and the connection end: it is read all the same.
    let _ = stream.write_all(request).await;
    let mut buffer = Vec::with_capacity(2048);
    loop {
        let ended = match stream.read_buf(&mut buffer).await {
            Ok(read) => read == 0,
            Err(_) if buffer.is_empty() => return Err(Lost::BeforeAnswer),
            Err(_) => return Err(Lost::InAnswer),
        };
        if ended && buffer.is_empty() {
            return Err(Lost::BeforeAnswer);
        }
        match http1::response(&mut buffer, ended, None) {
            Ok(Some(answer)) if answer.end < buffer.len() => {
                return Ok((Came::Nonsense("more than one answer"), false));
            }
            Ok(Some(answer)) => {
                let stays = !answer.closes && !ended;
                return Ok((Came::Answer(whole(&buffer, &answer, header)), stays));
            }
            Ok(None) if ended => return Err(Lost::InAnswer),
            Ok(None) if buffer.len() > ANSWER_MAX_BYTES => {
                return Ok((Came::Nonsense("an answer without end"), false));
            }
            Ok(None) => {}
            Err(_) => return Ok((Came::Nonsense("no HTTP"), false)),
        }
    }
}

fn whole(buffer: &[u8], answer: &Response, header: Option<&str>) -> Answer {
    let mut has_retry_after = false;
    let mut values = Vec::new();
    // The head was parsed before.
    let _ = http1::head(&buffer[answer.start..], |name, value| {
        has_retry_after |= name.eq_ignore_ascii_case("retry-after");
        if header.is_some_and(|header| header.eq_ignore_ascii_case(name)) {
            values.push(String::from_utf8(value.to_vec()));
        }
    });
    let header = match values.len() {
        1 => values.remove(0).ok(),
        _ => None,
    };
    Answer {
        status: answer.status,
        is_json: answer.is_json,
        has_retry_after,
        header,
        body: buffer[answer.body.clone()].to_vec(),
    }
}
