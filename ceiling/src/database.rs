//! Postgres behind `/users/me`: every connection prepares the statement, and every request sends the same bytes
//! of Bind, Execute and Sync for the id of the seed row. The texts of the row become JSON. Message formats:
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html>.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::str;

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::IsNull;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{ErrorResponseBody, Message};
use postgres_protocol::message::frontend;
use schema::limits::DB_ACQUIRE_TIMEOUT;
use schema::{ErrorCode, fixtures, sql};

use crate::answer;
use crate::backend::{Backend, Progress, connect};
use crate::config::DatabaseConfig;

/// Name of the prepared statement.
const STATEMENT: &str = "user";

/// A message's tag, and its length without the tag.
const HEADER_BYTES: usize = 5;

pub(crate) struct Database {
    config: DatabaseConfig,
    request: Vec<u8>,
    /// The JSON before each value, such as `,"city":`; empty until the first connection is open.
    keys: Vec<Vec<u8>>,
    unavailable: Vec<u8>,
}

impl Database {
    pub(crate) fn new(config: &DatabaseConfig) -> io::Result<Self> {
        Ok(Self {
            config: config.clone(),
            request: request(&fixtures::profile().id)?,
            keys: Vec::new(),
            unavailable: answer::error(ErrorCode::DatabaseUnavailable),
        })
    }

    /// Returns the JSON of a row. None if a value is missing or not a text.
    fn json(&self, row: &[u8]) -> Option<Vec<u8>> {
        let (_count, mut rest) = row.split_at_checked(2)?;
        let mut json = Vec::with_capacity(2 * row.len());
        for key in &self.keys {
            let (length, after) = rest.split_first_chunk()?;
            let length = usize::try_from(i32::from_be_bytes(*length)).ok()?;
            let (value, after) = after.split_at_checked(length)?;
            json.extend_from_slice(key);
            serde_json::to_writer(&mut json, str::from_utf8(value).ok()?).ok()?;
            rest = after;
        }
        json.push(b'}');
        Some(json)
    }
}

impl Backend for Database {
    /// Connects, logs in and prepares the statement.
    fn connect(&mut self) -> io::Result<TcpStream> {
        let stream = connect(&self.config.address)?;
        stream.set_read_timeout(Some(DB_ACQUIRE_TIMEOUT))?;
        let received = BytesMut::new();
        let mut session = Session { stream, received };
        session.log_in(&self.config)?;
        let columns = session.prepare()?;
        let separators = [b'{'].into_iter().chain([b','].into_iter().cycle());
        let keys = columns.iter().zip(separators).map(|(column, separator)| {
            let name = format!("\"{column}\":").into_bytes();
            [vec![separator], name].concat()
        });
        self.keys = keys.collect();
        Ok(session.stream)
    }

    fn request(&self) -> &[u8] {
        &self.request
    }

    /// An answer ends with ReadyForQuery, after success and after an error.
    fn parse(&self, received: &[u8], answer: &mut Vec<u8>) -> Progress {
        let mut rest = received;
        let mut row = None;
        let mut failed = false;
        while let Some((tag, body, after)) = message(rest) {
            rest = after;
            match tag {
                b'D' => row = Some(body),
                b'E' => failed = true,
                b'Z' if !rest.is_empty() => return Progress::Invalid,
                b'Z' if failed => answer.extend_from_slice(&self.unavailable),
                b'Z' => match row.and_then(|row| self.json(row)) {
                    Some(json) => answer::write_ok(&json, answer),
                    None => return Progress::Invalid,
                },
                _ => {}
            }
            if tag == b'Z' {
                return Progress::Complete;
            }
        }
        Progress::Partial
    }

    fn unavailable(&self) -> &[u8] {
        &self.unavailable
    }
}

/// Splits the first complete message into its tag, its body and the following bytes.
fn message(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let [tag, length @ ..] = *header;
    let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
    let (body, after) = rest.split_at_checked(length.checked_sub(4)?)?;
    Some((tag, body, after))
}

fn request(user: &str) -> io::Result<Vec<u8>> {
    let mut request = BytesMut::new();
    let text = |user: &str, to: &mut BytesMut| {
        to.extend_from_slice(user.as_bytes());
        Ok(IsNull::No)
    };
    frontend::bind("", STATEMENT, [], [user], text, [], &mut request)
        .map_err(|_| io::Error::new(ErrorKind::InvalidInput, "the user's id cannot be bound"))?;
    frontend::execute("", 0, &mut request)?;
    frontend::sync(&mut request);
    Ok(request.to_vec())
}

/// A connection before its first request: it blocks for each message.
struct Session {
    stream: TcpStream,
    received: BytesMut,
}

impl Session {
    fn log_in(&mut self, config: &DatabaseConfig) -> io::Result<()> {
        let parameters = [
            ("user", config.user.as_str()),
            ("database", &config.name),
            ("client_encoding", "UTF8"),
        ];
        self.send(|buffer| frontend::startup_message(parameters, buffer))?;
        let password = config.password.as_bytes();
        let mut scram = ScramSha256::new(password, ChannelBinding::unsupported());
        loop {
            match self.receive()? {
                // A server that offers only other mechanisms refuses this one itself.
                Message::AuthenticationSasl(_) => self.send(|buffer| {
                    frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), buffer)
                })?,
                Message::AuthenticationSaslContinue(body) => {
                    scram.update(body.data())?;
                    self.send(|buffer| frontend::sasl_response(scram.message(), buffer))?;
                }
                Message::AuthenticationSaslFinal(body) => scram.finish(body.data())?,
                Message::AuthenticationOk
                | Message::ParameterStatus(_)
                | Message::NoticeResponse(_)
                | Message::BackendKeyData(_) => {}
                Message::ReadyForQuery(_) => return Ok(()),
                _ => {
                    return Err(io::Error::other(
                        "Postgres requires an authentication that is not supported",
                    ));
                }
            }
        }
    }

    /// Prepares the suite's statement and returns the names of its columns.
    fn prepare(&mut self) -> io::Result<Vec<String>> {
        self.send(|buffer| {
            frontend::parse(STATEMENT, sql::SELECT_USER, [], buffer)?;
            frontend::describe(b'S', STATEMENT, buffer)?;
            frontend::sync(buffer);
            Ok(())
        })?;
        let mut columns = Vec::new();
        loop {
            match self.receive()? {
                Message::RowDescription(body) => {
                    let names = body.fields().map(|field| Ok(field.name().to_owned()));
                    columns = names.collect()?;
                }
                Message::ReadyForQuery(_) => return Ok(columns),
                _ => {}
            }
        }
    }

    fn send(&mut self, write: impl FnOnce(&mut BytesMut) -> io::Result<()>) -> io::Result<()> {
        let mut buffer = BytesMut::new();
        write(&mut buffer)?;
        self.stream.write_all(&buffer)
    }

    /// Waits for the next message; an ErrorResponse is returned as an error.
    fn receive(&mut self) -> io::Result<Message> {
        const READ_BYTES: usize = 4096;
        loop {
            match Message::parse(&mut self.received)? {
                Some(Message::ErrorResponse(body)) => return Err(error(&body)),
                Some(message) => return Ok(message),
                None => {}
            }
            let mut bytes = [0; READ_BYTES];
            match self.stream.read(&mut bytes)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                count => self.received.extend_from_slice(&bytes[..count]),
            }
        }
    }
}

/// Returns the message of an ErrorResponse: its field `M`.
fn error(body: &ErrorResponseBody) -> io::Error {
    match body.fields().find(|field| Ok(field.type_() == b'M')) {
        Ok(Some(field)) => io::Error::other(String::from_utf8_lossy(field.value_bytes())),
        _ => io::Error::other("Postgres sent an error without a message"),
    }
}
