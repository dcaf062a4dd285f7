//! Postgres behind `/users/me`: the statement is prepared when a connection is opened, and every
//! request sends the same bytes of Bind, Execute and Sync for the seed row's id. The row's texts go
//! back as JSON. Message formats: <https://www.postgresql.org/docs/current/protocol-message-formats.html>.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::str;

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::IsNull;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{ErrorResponseBody, Message};
use postgres_protocol::message::frontend;
use schema::limits::DB_ACQUIRE_TIMEOUT;
use schema::{ErrorCode, fixtures, sql};

use crate::answer;
use crate::config::DatabaseConfig;
use crate::far::{Progress, connect};

/// The prepared statement's name on every connection.
const STATEMENT: &str = "user";

/// A message's tag and the length that follows it and counts itself.
const HEADER_BYTES: usize = 5;

/// The database.
pub(crate) struct Database {
    config: DatabaseConfig,
    question: Vec<u8>,
    /// What stands before each value in the answer, such as `,"city":`; known once a connection was
    /// opened.
    keys: Vec<Vec<u8>>,
    user_not_found: Vec<u8>,
    unavailable: Vec<u8>,
}

impl Database {
    pub(crate) fn new(config: &DatabaseConfig) -> io::Result<Self> {
        Ok(Self {
            config: config.clone(),
            question: question(&fixtures::profile().id)?,
            keys: Vec::new(),
            user_not_found: answer::error(ErrorCode::UserNotFound),
            unavailable: answer::error(ErrorCode::DatabaseUnavailable),
        })
    }

    /// Connects, logs in and prepares the statement.
    pub(crate) fn open(&mut self) -> io::Result<TcpStream> {
        let stream = connect(&self.config.address)?;
        stream.set_read_timeout(Some(DB_ACQUIRE_TIMEOUT))?;
        let mut session = Session {
            stream,
            read: BytesMut::new(),
        };
        session.log_in(&self.config)?;
        let columns = session.prepare()?;
        let keys = columns.iter().enumerate().map(|(index, column)| {
            let before = if index == 0 { '{' } else { ',' };
            format!("{before}\"{column}\":").into_bytes()
        });
        self.keys = keys.collect();
        Ok(session.stream)
    }

    pub(crate) fn question(&self) -> &[u8] {
        &self.question
    }

    pub(crate) fn unavailable(&self) -> &[u8] {
        &self.unavailable
    }

    /// An answer ends with ReadyForQuery, whatever came of the question.
    pub(crate) fn answer(&self, came: &[u8], to_client: &mut Vec<u8>) -> Progress {
        let mut rest = came;
        let mut row = None;
        let mut failed = false;
        while let Some((tag, body, after)) = message(rest) {
            match tag {
                b'D' => row = Some(body),
                b'E' => failed = true,
                b'Z' if !after.is_empty() => return Progress::Broken,
                b'Z' => {
                    match row {
                        _ if failed => to_client.extend_from_slice(&self.unavailable),
                        None => to_client.extend_from_slice(&self.user_not_found),
                        Some(row) => match self.json(row) {
                            Some(json) => answer::write_ok(&json, to_client),
                            None => return Progress::Broken,
                        },
                    }
                    return Progress::Whole;
                }
                _ => {}
            }
            rest = after;
        }
        Progress::Partial
    }

    /// A row's texts as the object that the contract asks for; none if a value is missing or no text.
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

/// The first message, if it is all there: its tag, its body, and what follows it.
fn message(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let [tag, length @ ..] = *header;
    let body = usize::try_from(u32::from_be_bytes(length))
        .ok()?
        .checked_sub(4)?;
    let (body, after) = rest.split_at_checked(body)?;
    Some((tag, body, after))
}

fn question(user: &str) -> io::Result<Vec<u8>> {
    let mut question = BytesMut::new();
    let text = |user: &str, to: &mut BytesMut| {
        to.extend_from_slice(user.as_bytes());
        Ok(IsNull::No)
    };
    frontend::bind("", STATEMENT, [], [user], text, [], &mut question)
        .map_err(|_| io::Error::new(ErrorKind::InvalidInput, "the user's id cannot be bound"))?;
    frontend::execute("", 0, &mut question)?;
    frontend::sync(&mut question);
    Ok(question.to_vec())
}

/// A connection on its way to being asked: it reads and writes message by message, and waits.
struct Session {
    stream: TcpStream,
    read: BytesMut,
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
                Message::AuthenticationCleartextPassword => {
                    self.send(|buffer| frontend::password_message(password, buffer))?;
                }
                Message::AuthenticationMd5Password(body) => {
                    let hash = md5_hash(config.user.as_bytes(), password, body.salt());
                    self.send(|buffer| frontend::password_message(hash.as_bytes(), buffer))?;
                }
                // A server that offers other mechanisms alone refuses this one itself.
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
                _ => return Err(io::Error::other("Postgres asks for another way to log in")),
            }
        }
    }

    /// Prepares the suite's statement: the names of its columns.
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
                    columns = body
                        .fields()
                        .map(|field| Ok(field.name().to_owned()))
                        .collect()?;
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

    /// The next message; one that tells of an error is one.
    fn receive(&mut self) -> io::Result<Message> {
        const READ_BYTES: usize = 4096;
        loop {
            match Message::parse(&mut self.read)? {
                Some(Message::ErrorResponse(body)) => return Err(refusal(&body)),
                Some(message) => return Ok(message),
                None => {}
            }
            let mut bytes = [0; READ_BYTES];
            match self.stream.read(&mut bytes)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                count => self.read.extend_from_slice(&bytes[..count]),
            }
        }
    }
}

/// What Postgres says: the field `M` of its error.
fn refusal(body: &ErrorResponseBody) -> io::Error {
    let message = body.fields().find(|field| Ok(field.type_() == b'M'));
    match message {
        Ok(Some(field)) => io::Error::other(String::from_utf8_lossy(field.value_bytes())),
        _ => io::Error::other("Postgres refuses without saying why"),
    }
}
