//! One request: its bytes on the wire, and the command line that repeats it.
//!
//! Without options a request equals that of the public harness's load generator byte for byte: a
//! contender must not be able to tell a check from a measurement.

use std::fmt::Write;

use testbed::terminal::quoted;

/// The user agent of k6 1.1.0.
const K6_USER_AGENT: &str = "Grafana k6/1.1.0";

/// A request to the contender.
#[derive(Clone, Debug)]
pub struct Request {
    method: &'static str,
    url: Url,
    user_agent: &'static str,
    /// In the order on the wire, after `User-Agent` and `Content-Length`.
    headers: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
    framing: Framing,
    /// Sent in place of all this.
    raw: Option<Vec<u8>>,
}

/// The URL of a request.
#[derive(Clone, Debug)]
pub struct Url {
    /// `host:port`.
    pub host: String,
    /// The path, with the prefix of the contender's URL.
    pub path: String,
}

/// How the end of a body is marked (RFC 9112, 6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Framing {
    Length,
    Chunked,
    /// A length is announced and the body not sent.
    Withheld,
}

impl Request {
    /// Creates a request without headers of its own and without a body.
    pub fn new(method: &'static str, url: Url) -> Self {
        Self {
            method,
            url,
            user_agent: K6_USER_AGENT,
            headers: Vec::new(),
            body: None,
            framing: Framing::Length,
            raw: None,
        }
    }

    /// Sends these bytes in place of the request.
    pub(crate) fn raw(self, bytes: Vec<u8>) -> Self {
        Self {
            raw: Some(bytes),
            ..self
        }
    }

    /// Adds a header, even if there is one of this name.
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Adds the token as k6 does.
    pub fn token(self, token: &str) -> Self {
        self.header("Authorization", format!("Bearer {token}"))
    }

    /// Sets a JSON body as k6 does.
    pub fn json(self, body: impl Into<Vec<u8>>) -> Self {
        self.header("Content-Type", "application/json").body(body)
    }

    /// Sets a body without a type.
    pub(crate) fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self {
            body: Some(body.into()),
            ..self
        }
    }

    /// Sends the body in one chunk, without its length.
    pub(crate) fn chunked(self) -> Self {
        Self {
            framing: Framing::Chunked,
            ..self
        }
    }

    /// Announces the body and never sends it.
    pub(crate) fn withheld(self) -> Self {
        Self {
            framing: Framing::Withheld,
            ..self
        }
    }

    /// Sets the name of another client.
    pub(crate) fn user_agent(self, user_agent: &'static str) -> Self {
        Self { user_agent, ..self }
    }

    /// Reverses the order of the headers.
    pub(crate) fn reversed(mut self) -> Self {
        self.headers.reverse();
        self
    }

    /// Returns true if its response has no body.
    pub(crate) fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// Returns the bytes on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        if let Some(raw) = &self.raw {
            return raw.clone();
        }
        let Url { host, path } = &self.url;
        let mut head = format!(
            "{} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {}\r\n",
            self.method, self.user_agent
        );
        let body = self.body.as_deref();
        let framing = match (body, self.framing) {
            (None, _) => String::new(),
            (Some(_), Framing::Chunked) => "Transfer-Encoding: chunked\r\n".to_owned(),
            (Some(body), _) => format!("Content-Length: {}\r\n", body.len()),
        };
        head += &framing;
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        let mut bytes = head.into_bytes();
        match (body, self.framing) {
            (None, _) | (_, Framing::Withheld) => {}
            (Some(body), Framing::Length) => bytes.extend_from_slice(body),
            (Some(body), Framing::Chunked) => {
                if !body.is_empty() {
                    bytes.extend_from_slice(format!("{:x}\r\n", body.len()).as_bytes());
                    bytes.extend_from_slice(body);
                    bytes.extend_from_slice(b"\r\n");
                }
                bytes.extend_from_slice(b"0\r\n\r\n");
            }
        }
        bytes
    }

    /// Returns a command line that repeats the request: `curl`, or `printf` to a socket for what curl
    /// refuses to send.
    pub(crate) fn command_line(&self) -> String {
        let Url { host, path } = &self.url;
        if self.raw.is_some() || self.framing == Framing::Withheld {
            let (name, port) = host.rsplit_once(':').unwrap_or((host, "80"));
            return format!("printf {} | nc {name} {port}", printf(&self.bytes()));
        }
        let mut line = "curl -i".to_owned();
        match (self.method, &self.body) {
            ("GET", None) | ("POST", Some(_)) => {}
            ("HEAD", _) => line += " --head",
            (method, _) => line += &format!(" -X {method}"),
        }
        line += &format!(" {}", quoted(&format!("http://{host}{path}")));
        if self.user_agent != K6_USER_AGENT {
            line += &format!(" -A {}", quoted(self.user_agent));
        }
        for (name, value) in &self.headers {
            // curl sends a header without a value only in this form.
            let header = match value.is_empty() {
                true => format!("{name};"),
                false => format!("{name}: {value}"),
            };
            line += &format!(" -H {}", quoted(&header));
        }
        if let Some(body) = &self.body {
            if !self.headers.iter().any(|(name, _)| *name == "Content-Type") {
                line += " -H Content-Type:";
            }
            if self.framing == Framing::Chunked {
                line += " -H 'Transfer-Encoding: chunked'";
            }
            line += " --data-binary ";
            line += &match repetition(body) {
                Some((byte, rest)) => format!(
                    "\"$(head -c {} /dev/zero | tr '\\0' {}){}\"",
                    body.len() - rest.len(),
                    quoted(&char::from(byte).to_string()),
                    String::from_utf8_lossy(rest).replace('"', "\\\""),
                ),
                None => shell_word(body),
            };
        }
        line
    }
}

/// Repetitions of the first byte from which a body is shown as a repetition.
const REPETITION_MIN_BYTES: usize = 4096;

/// Returns the byte that a long body repeats at its start, and the rest.
fn repetition(body: &[u8]) -> Option<(u8, &[u8])> {
    let first = *body.first()?;
    let count = body.iter().take_while(|byte| **byte == first).count();
    (count >= REPETITION_MIN_BYTES).then(|| (first, &body[count..]))
}

/// Quotes bytes as one word of a shell; those that are not plain text need `bash` or `zsh`.
fn shell_word(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(|c: char| c.is_control() && c != '\n') => quoted(text),
        _ => format!("${}", printf(bytes)),
    }
}

/// Quotes bytes with the escapes of C.
fn printf(bytes: &[u8]) -> String {
    let mut text = "'".to_owned();
    for byte in bytes {
        match byte {
            b'\n' => text += "\\n",
            b'\r' => text += "\\r",
            b'\\' => text += "\\\\",
            b'%' => text += "\\x25",
            b'\'' => text += "\\x27",
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => {
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
    }
    text + "'"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &'static str, path: &str) -> Request {
        let url = Url {
            host: "127.0.0.1:8000".to_owned(),
            path: path.to_owned(),
        };
        Request::new(method, url)
    }

    #[test]
    fn body_is_framed_by_length_or_chunks() {
        let post = request("POST", "/movies").body("ab");
        let bytes = |request: &Request| String::from_utf8(request.bytes()).unwrap();
        assert!(bytes(&post).ends_with("Content-Length: 2\r\n\r\nab"));
        let chunked = bytes(&post.clone().chunked());
        assert!(chunked.ends_with("Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"));
        assert!(bytes(&post.withheld()).ends_with("Content-Length: 2\r\n\r\n"));
    }

    #[test]
    fn command_line_quotes_shell_characters() {
        let post = request("POST", "/movies").token("t").json("it's");
        assert_eq!(
            post.command_line(),
            "curl -i 'http://127.0.0.1:8000/movies' -H 'Authorization: Bearer t' \
             -H 'Content-Type: application/json' --data-binary 'it'\\''s'"
        );
        let bytes = request("POST", "/movies").body(*b"\xff'");
        assert!(
            bytes
                .command_line()
                .ends_with(r"-H Content-Type: --data-binary $'\xff\x27'")
        );
    }

    #[test]
    fn invalid_http_is_sent_to_a_socket() {
        let raw = request("GET", "/").raw(b"NO\r\n\r\n".to_vec());
        assert_eq!(
            raw.command_line(),
            r"printf 'NO\r\n\r\n' | nc 127.0.0.1 8000"
        );
    }

    #[test]
    fn long_body_is_shown_as_a_repetition() {
        let long = request("POST", "/movies").body(vec![b' '; 70_000]);
        let line = long.command_line();
        assert!(line.len() < 200, "{line}");
        assert!(line.ends_with(r#""$(head -c 70000 /dev/zero | tr '\0' ' ')""#));
    }
}
