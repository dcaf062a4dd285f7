//! HTTP/1.1 on a raw socket (RFC 9112): requests are written byte for byte, and responses are
//! returned as they arrive.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::http1::{self, Head};

/// Longest response head. An incomplete head is parsed again after each read, so an endless one
/// would take quadratic time.
const HEAD_MAX: usize = 64 * 1024;

/// Time for one read; longer than any deadline of the contract.
const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// Most bytes of a response: more than any of the contract or of a fault of the upstream.
const RESPONSE_MAX_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of one read.
const READ_BYTES: usize = 16 * 1024;

/// The error of a connection that ended before the first byte of a response.
pub const CLOSED: &str = "connection closed";

/// A connection to a server.
#[derive(Debug)]
pub struct Connection {
    socket: TcpStream,
    /// Time for a whole request, and for a whole response.
    whole: Option<Duration>,
    /// End of that time for the present request or response.
    until: Option<Instant>,
    /// Bytes that were received and not yet consumed.
    received: Vec<u8>,
    /// The head of a response whose body is not complete.
    begun: Option<(Head, Answer)>,
}

/// One response.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case and values, in the order of arrival.
    pub headers: Vec<(String, String)>,
    /// The body, chunks joined.
    pub body: Vec<u8>,
    /// The server closes the connection after the response.
    pub closes: bool,
}

impl Answer {
    /// Returns the value of a header field; none if it is missing or repeated.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(header, _)| header == name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }

    /// Returns the body as text; invalid UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// The connection is refused.
    pub fn open(address: SocketAddr) -> Result<Self> {
        Self::new(address, TcpStream::connect(address), READ_TIMEOUT)
    }

    /// Connects within `time`, which also limits each read and write.
    ///
    /// # Errors
    /// The connection is refused or takes too long.
    pub fn open_within(address: SocketAddr, time: Duration) -> Result<Self> {
        Self::new(address, TcpStream::connect_timeout(&address, time), time)
    }

    fn new(address: SocketAddr, socket: io::Result<TcpStream>, time: Duration) -> Result<Self> {
        let socket = socket.with_context(|| format!("connecting to {address}"))?;
        socket.set_read_timeout(Some(time))?;
        socket.set_write_timeout(Some(time))?;
        socket.set_nodelay(true)?;
        Ok(Self {
            socket,
            whole: None,
            until: None,
            received: Vec::new(),
            begun: None,
        })
    }

    /// Limits the time for each whole request and each whole response too, however slowly its bytes
    /// arrive.
    #[must_use]
    pub fn within(self, time: Duration) -> Self {
        Self {
            whole: Some(time),
            ..self
        }
    }

    /// Writes these bytes.
    ///
    /// # Errors
    /// The connection has ended, or the peer does not read in time.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.begin();
        let mut rest = bytes.as_ref();
        while !rest.is_empty() {
            if let Some(left) = self.time_left()? {
                self.socket.set_write_timeout(Some(left))?;
            }
            match self.socket.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Shuts down the write side.
    ///
    /// # Errors
    /// The connection has ended.
    pub fn finish_sending(&mut self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }

    /// Writes a request and reads its response.
    ///
    /// # Errors
    /// The same as of [`Connection::send`] and [`Connection::answer`].
    pub fn ask(&mut self, request: impl AsRef<[u8]>) -> Result<Answer> {
        let is_head = request.as_ref().starts_with(b"HEAD ");
        self.send(request).context("sending the request")?;
        self.final_answer(is_head)
    }

    /// Reads one response with its body, and skips interim responses.
    ///
    /// # Errors
    /// The connection ended or timed out before the response was complete, or it is malformed or too
    /// long.
    pub fn answer(&mut self) -> Result<Answer> {
        self.final_answer(false)
    }

    fn final_answer(&mut self, is_head: bool) -> Result<Answer> {
        self.begin();
        loop {
            if let Some(answer) = self.progress(is_head)? {
                return Ok(answer);
            }
        }
    }

    /// Reads only the head of a response, which may be an interim one.
    ///
    /// # Errors
    /// The same as of [`Connection::answer`].
    pub fn head(&mut self) -> Result<Answer> {
        self.begin();
        loop {
            if let Some((_, answer)) = self.parse_head()? {
                return Ok(answer);
            }
            self.receive_some()?;
        }
    }

    /// Reads once, and returns the response if it is complete. `is_head` says that it answers HEAD and
    /// has no body.
    ///
    /// # Errors
    /// The same as of [`Connection::answer`].
    pub fn progress(&mut self, is_head: bool) -> Result<Option<Answer>> {
        let answer = self.parse(is_head, false)?;
        if answer.is_some() {
            return Ok(answer);
        }
        let ended = self.receive_some()? == 0;
        let answer = self.parse(is_head, ended)?;
        if ended && answer.is_none() {
            let error = io::Error::from(ErrorKind::UnexpectedEof);
            return Err(error).context("reading the body");
        }
        Ok(answer)
    }

    /// Takes the final response from the received bytes, if it is complete.
    fn parse(&mut self, is_head: bool, ended: bool) -> Result<Option<Answer>> {
        let (head, mut answer) = loop {
            match self.begun.take() {
                Some(begun) => break begun,
                None => match self.parse_head()? {
                    Some((head, _)) if head.is_interim() => {}
                    Some(begun) => self.begun = Some(begun),
                    None => return Ok(None),
                },
            }
        };
        if is_head {
            return Ok(Some(answer));
        }
        answer.closes |= !head.is_delimited();
        let body = http1::body(&mut self.received, &head, 0, ended);
        let body = body.map_err(anyhow::Error::msg);
        match body.context("reading the body")? {
            Some((body, end)) => {
                answer.body = self.received[body].to_vec();
                self.received.drain(..end);
                Ok(Some(answer))
            }
            None => {
                self.begun = Some((head, answer));
                Ok(None)
            }
        }
    }

    fn parse_head(&mut self) -> Result<Option<(Head, Answer)>> {
        let mut headers = Vec::new();
        let head = http1::head(&self.received, |name, value| {
            let value = String::from_utf8_lossy(value).into_owned();
            headers.push((name.to_ascii_lowercase(), value));
        });
        let head = head.map_err(anyhow::Error::msg);
        let Some(head) = head.context("parsing the head")? else {
            return Ok(None);
        };
        self.received.drain(..head.length);
        let answer = Answer {
            status: head.status,
            headers,
            body: Vec::new(),
            closes: head.closes,
        };
        Ok(Some((head, answer)))
    }

    /// Reads more of a response. The connection may end in a body only: that may be the body's end.
    fn receive_some(&mut self) -> Result<usize> {
        if self.begun.is_some() {
            return self.receive().context("reading the body");
        }
        ensure!(
            self.received.len() <= HEAD_MAX,
            "a response head of more than {HEAD_MAX} bytes"
        );
        let read = self.receive().context("reading the head")?;
        ensure!(read > 0 || !self.received.is_empty(), CLOSED);
        ensure!(read > 0, "connection closed in the head of a response");
        Ok(read)
    }

    /// Waits for the end of the connection. Returns true if the peer closed it, false if it reset it.
    ///
    /// # Errors
    /// The server sends more, or does not close in time.
    pub fn closed(&mut self) -> Result<bool> {
        match self.receive() {
            Ok(0) if self.received.is_empty() => Ok(true),
            Ok(_) => bail!("the server sent more"),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(false),
            Err(error) => Err(error).context("waiting for the end of the connection"),
        }
    }

    /// Reads exactly `length` bytes.
    ///
    /// # Errors
    /// The connection ended or timed out before.
    pub fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.received.len() < length {
            if self.receive()? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.received.drain(..length).collect())
    }

    /// Reads until the server closes.
    ///
    /// # Errors
    /// The connection was reset or timed out.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        while self.receive()? > 0 {}
        Ok(std::mem::take(&mut self.received))
    }

    /// Returns true if a byte, or the end of the connection, arrives within `time`. Nothing is
    /// consumed.
    ///
    /// # Errors
    /// The connection was reset.
    pub fn readable_within(&mut self, time: Duration) -> io::Result<bool> {
        if !self.received.is_empty() {
            return Ok(true);
        }
        self.until = None;
        self.socket.set_read_timeout(Some(time))?;
        let received = self.receive();
        self.socket.set_read_timeout(Some(READ_TIMEOUT))?;
        match received {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            other => other.map(|_| true),
        }
    }

    /// Starts the time for a request or a response.
    fn begin(&mut self) {
        self.until = self.whole.map(|time| Instant::now() + time);
    }

    fn time_left(&self) -> io::Result<Option<Duration>> {
        let Some(until) = self.until else {
            return Ok(None);
        };
        match until.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => Ok(Some(left)),
            _ => Err(ErrorKind::TimedOut.into()),
        }
    }

    /// Reads once and returns the number of bytes, 0 at the end of the connection.
    fn receive(&mut self) -> io::Result<usize> {
        if self.received.len() > RESPONSE_MAX_BYTES {
            let limit = format!("a response of more than {RESPONSE_MAX_BYTES} bytes");
            return Err(io::Error::new(ErrorKind::FileTooLarge, limit));
        }
        if let Some(left) = self.time_left()? {
            self.socket.set_read_timeout(Some(left))?;
        }
        let mut bytes = [0; READ_BYTES];
        loop {
            match self.socket.read(&mut bytes) {
                Ok(read) => {
                    self.received.extend_from_slice(&bytes[..read]);
                    return Ok(read);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Waits for at most `time` until there is something to read, and says for each connection if there is.
///
/// # Errors
/// The system refuses.
pub fn readable(connections: &[&Connection], time: Duration) -> io::Result<Vec<bool>> {
    let sockets = connections.iter().map(|connection| &connection.socket);
    let mut sockets: Vec<_> = sockets
        .map(|socket| PollFd::new(socket, PollFlags::IN))
        .collect();
    let time = Timespec::try_from(time).map_err(io::Error::other)?;
    match poll(&mut sockets, Some(&time)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = sockets.iter().map(PollFd::revents);
    Ok(flags.map(|flags| !flags.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn trickled_response_times_out_as_a_whole() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            client.write_all(b"HTTP/1.1 200 OK\r\nX: ").unwrap();
            while client.write_all(b"x").is_ok() {
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
