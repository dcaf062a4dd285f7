//! HTTP/1.1 on a bare socket (RFC 9112), where a client library would hide the wire: what is sent
//! is written byte for byte, what comes back is shown as it came.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// Time for one read; longer than any deadline of the contract.
const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// Most headers that an answer may have.
const HEADERS_MAX: usize = 64;

/// Most bytes of an answer's head.
const HEAD_MAX_BYTES: usize = 256 * 1024;

/// Most bytes of an answer's body: more than any that the contract or a fault of the upstream has.
const BODY_MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Most bytes of the line that a chunk begins with.
const CHUNK_LINE_MAX_BYTES: u64 = 4096;

/// What is said of a connection that ended before a byte of an answer came.
pub const CLOSED: &str = "connection closed";

/// A connection to a server.
#[derive(Debug)]
pub struct Connection {
    reader: BufReader<Stream>,
    /// Time for a whole request, and for a whole answer.
    whole: Option<Duration>,
}

/// A socket whose reads and writes end at a time, if there is one.
#[derive(Debug)]
struct Stream {
    socket: TcpStream,
    until: Option<Instant>,
}

impl Stream {
    /// What is left of the time.
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = |until: Instant| until.checked_duration_since(Instant::now());
        let left = self.until.map(|until| left(until).unwrap_or_default());
        if left.is_some_and(|left| left.is_zero()) {
            return Err(ErrorKind::TimedOut.into());
        }
        Ok(left)
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(left) = self.left()? {
            self.socket.set_read_timeout(Some(left))?;
        }
        self.socket.read(buffer)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(left) = self.left()? {
            self.socket.set_write_timeout(Some(left))?;
        }
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// One answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Names in lower case and values, in the order they came.
    pub headers: Vec<(String, String)>,
    /// The body, chunks put together.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header; none if it is missing or comes twice.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(header, _)| header == name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }

    /// Whether the end of the body is told otherwise than by the end of the connection.
    #[must_use]
    pub fn is_delimited(&self) -> bool {
        self.header("content-length").is_some()
            || self.header("transfer-encoding").is_some()
            || matches!(self.status, 100..200 | 204 | 304)
    }

    /// The body as text; what is not UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn open(address: SocketAddr) -> Result<Self> {
        let stream =
            TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        stream.set_read_timeout(Some(READ_TIMEOUT))?;
        stream.set_nodelay(true)?;
        Ok(Self::of(stream))
    }

    fn of(socket: TcpStream) -> Self {
        Self {
            reader: BufReader::new(Stream {
                socket,
                until: None,
            }),
            whole: None,
        }
    }

    /// Waits no longer than this for a whole answer either, or for a whole request to be taken:
    /// however often a byte of it comes.
    #[must_use]
    pub fn within(self, time: Duration) -> Self {
        Self {
            whole: Some(time),
            ..self
        }
    }

    /// The time for a request or an answer begins.
    fn begin(&mut self) {
        self.reader.get_mut().until = self.whole.map(|time| Instant::now() + time);
    }

    /// Connects within this time, and waits no longer than it for each read.
    ///
    /// # Errors
    /// Nobody listens there, or nobody answers in time.
    pub fn open_within(address: SocketAddr, time: Duration) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, time)
            .with_context(|| format!("connecting to {address}"))?;
        stream.set_read_timeout(Some(time))?;
        stream.set_write_timeout(Some(time))?;
        stream.set_nodelay(true)?;
        Ok(Self::of(stream))
    }

    /// Writes these bytes.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.begin();
        self.reader.get_mut().write_all(bytes.as_ref())
    }

    /// Ends the write side, as a client does that has nothing more to say.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn finish_sending(&mut self) -> io::Result<()> {
        self.reader.get_ref().socket.shutdown(Shutdown::Write)
    }

    /// Writes a request and reads its answer.
    ///
    /// # Errors
    /// As [`Connection::send`] and [`Connection::answer`].
    pub fn ask(&mut self, request: impl AsRef<[u8]>) -> Result<Answer> {
        let head_only = request.as_ref().starts_with(b"HEAD ");
        self.send(request).context("sending the request")?;
        if head_only {
            self.head()
        } else {
            self.answer()
        }
    }

    /// Reads one answer with its body.
    ///
    /// # Errors
    /// The connection ended or timed out before the answer was complete, or it is not HTTP/1.1, or
    /// longer than any that there should be.
    pub fn answer(&mut self) -> Result<Answer> {
        self.begin();
        let mut answer = self.rest_of_head()?;
        answer.body = if answer.header("transfer-encoding") == Some("chunked") {
            self.chunks()?
        } else if let Some(length) = answer.header("content-length") {
            let length = length.parse().context("content-length")?;
            self.part(length).context("reading the body")?
        } else if matches!(answer.status, 100..200 | 204 | 304) {
            Vec::new()
        } else {
            let mut body = Vec::new();
            let mut most = self.reader.by_ref().take(BODY_MAX_BYTES + 1);
            most.read_to_end(&mut body).context("reading the body")?;
            must_be_short(body.len() as u64)?;
            body
        };
        Ok(answer)
    }

    /// Reads the head of an answer alone, as after HEAD.
    ///
    /// # Errors
    /// As [`Connection::answer`].
    pub fn head(&mut self) -> Result<Answer> {
        self.begin();
        self.rest_of_head()
    }

    fn rest_of_head(&mut self) -> Result<Answer> {
        let mut head = Vec::new();
        let mut most = self.reader.by_ref().take(HEAD_MAX_BYTES as u64);
        while !head.ends_with(b"\r\n\r\n") {
            let read = most.read_until(b'\n', &mut head);
            let read = read.context("reading the head")?;
            ensure!(
                head.len() < HEAD_MAX_BYTES,
                "a head of more than {HEAD_MAX_BYTES} bytes"
            );
            ensure!(read > 0 || !head.is_empty(), CLOSED);
            ensure!(read > 0, "connection closed in the head of an answer");
        }
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        response.parse(&head).context("parsing the head")?;
        let headers = response.headers.iter().map(|header| {
            let value = String::from_utf8_lossy(header.value).into_owned();
            (header.name.to_ascii_lowercase(), value)
        });
        Ok(Answer {
            status: response.code.context("no status")?,
            headers: headers.collect(),
            body: Vec::new(),
        })
    }

    /// Waits for the end of the connection: true if it ended in order, false if it was reset.
    ///
    /// # Errors
    /// The server still sends, or does not close in time.
    pub fn closed(&mut self) -> Result<bool> {
        match self.reader.read(&mut [0]) {
            Ok(0) => Ok(true),
            Ok(_) => bail!("the server sent more"),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(false),
            Err(error) => Err(error).context("waiting for the end of the connection"),
        }
    }

    /// Reads exactly this many bytes.
    ///
    /// # Errors
    /// The connection ended or timed out before.
    pub fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads all that comes until the server closes.
    ///
    /// # Errors
    /// The connection was reset or timed out.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.reader.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Whether a byte, or the connection's end, comes within this time; it is not consumed.
    ///
    /// # Errors
    /// The connection was reset.
    pub fn readable_within(&mut self, time: Duration) -> io::Result<bool> {
        let stream = self.reader.get_mut();
        stream.until = None;
        stream.socket.set_read_timeout(Some(time))?;
        let peeked = self.reader.fill_buf().map(|_| true);
        let socket = &self.reader.get_ref().socket;
        socket.set_read_timeout(Some(READ_TIMEOUT))?;
        match peeked {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            other => other,
        }
    }

    /// So many bytes of a body.
    fn part(&mut self, length: u64) -> Result<Vec<u8>> {
        must_be_short(length)?;
        let mut bytes = vec![0; usize::try_from(length)?];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let mut line = String::new();
            let mut most = self.reader.by_ref().take(CHUNK_LINE_MAX_BYTES);
            most.read_line(&mut line).context("reading a chunk")?;
            ensure!(line.ends_with('\n'), "a chunk without its size");
            let size = line.trim_end().split(';').next().unwrap_or_default();
            let size = u64::from_str_radix(size, 16).context("size of a chunk")?;
            must_be_short((body.len() as u64).saturating_add(size))?;
            body.append(&mut self.part(size)?);
            self.reader
                .read_exact(&mut [0; 2])
                .context("end of a chunk")?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
}

fn must_be_short(length: u64) -> Result<()> {
    ensure!(
        length <= BODY_MAX_BYTES,
        "a body of more than {BODY_MAX_BYTES} bytes"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn a_byte_now_and_then_is_no_answer_in_time() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            while client.write_all(b"H").is_ok() {
                thread::sleep(Duration::from_millis(20));
            }
        });
        let patience = Duration::from_millis(200);
        let connection = Connection::open_within(address, patience).unwrap();
        let begun = Instant::now();
        let error = connection.within(patience).answer().unwrap_err();
        assert!(begun.elapsed() >= patience);
        let error = error.root_cause().downcast_ref::<io::Error>().unwrap();
        let late = [ErrorKind::TimedOut, ErrorKind::WouldBlock];
        assert!(late.contains(&error.kind()), "{error}");
    }
}
