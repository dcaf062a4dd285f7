//! HTTP/1.1 on a bare socket (RFC 9112), where a client library would hide the wire: what is sent
//! is written byte for byte, what comes back is shown as it came.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// Time for one read; longer than any deadline of the contract.
const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// Most headers that an answer may have.
const HEADERS_MAX: usize = 64;

/// What is said of a connection that ended before a byte of an answer came.
pub(crate) const CLOSED: &str = "connection closed";

/// A connection to a server.
#[derive(Debug)]
pub struct Connection {
    reader: BufReader<TcpStream>,
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
        Ok(Self {
            reader: BufReader::new(stream),
        })
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
        Ok(Self {
            reader: BufReader::new(stream),
        })
    }

    /// Writes these bytes.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes.as_ref())
    }

    /// Ends the write side, as a client does that has nothing more to say.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn finish_sending(&mut self) -> io::Result<()> {
        self.reader.get_ref().shutdown(Shutdown::Write)
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
    /// The connection ended or timed out before the answer was complete, or it is not HTTP/1.1.
    pub fn answer(&mut self) -> Result<Answer> {
        let mut answer = self.head()?;
        answer.body = if answer.header("transfer-encoding") == Some("chunked") {
            self.chunks()?
        } else if let Some(length) = answer.header("content-length") {
            let mut body = vec![0; length.parse().context("content-length")?];
            self.reader
                .read_exact(&mut body)
                .context("reading the body")?;
            body
        } else if matches!(answer.status, 100..200 | 204 | 304) {
            Vec::new()
        } else {
            let mut body = Vec::new();
            self.reader
                .read_to_end(&mut body)
                .context("reading the body")?;
            body
        };
        Ok(answer)
    }

    /// Reads the head of an answer alone, as after HEAD.
    ///
    /// # Errors
    /// As [`Connection::answer`].
    pub fn head(&mut self) -> Result<Answer> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let read = self.reader.read_until(b'\n', &mut head);
            let read = read.context("reading the head")?;
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
        self.reader.get_ref().set_read_timeout(Some(time))?;
        let peeked = self.reader.fill_buf().map(|_| true);
        self.reader.get_ref().set_read_timeout(Some(READ_TIMEOUT))?;
        match peeked {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            other => other,
        }
    }

    fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let mut line = String::new();
            self.reader
                .read_line(&mut line)
                .context("reading a chunk")?;
            let size = line.trim_end().split(';').next().unwrap_or_default();
            let size = u64::from_str_radix(size, 16).context("size of a chunk")?;
            self.reader.by_ref().take(size).read_to_end(&mut body)?;
            self.reader
                .read_exact(&mut [0; 2])
                .context("end of a chunk")?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
}
