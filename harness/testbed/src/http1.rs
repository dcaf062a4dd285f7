//! Parsing of HTTP/1 responses in a buffer (RFC 9112): the head by httparse, the length of the
//! body, and chunks. Nothing is allocated, so that the load engine can use it for every response.

use std::mem::MaybeUninit;
use std::ops::Range;

/// Most header fields of a response. The table is on the stack and not initialised, so its size costs nothing.
const FIELDS_MAX: usize = 128;

/// The error of bytes that are not an HTTP/1 response.
pub const MALFORMED: &str = "malformed";

/// A complete response at the start of a buffer, after any interim responses.
#[derive(Debug, PartialEq)]
pub struct Response {
    pub status: u16,
    /// The content type is JSON or of the suffix `+json`, with or without parameters.
    pub is_json: bool,
    /// The requested header field is present.
    pub has_header: bool,
    /// The server closes the connection after it.
    pub closes: bool,
    /// Index of its head, which interim responses may precede.
    pub start: usize,
    /// Range of the body, which is contiguous: chunks are joined in place.
    pub body: Range<usize>,
    /// Index after its last byte.
    pub end: usize,
}

/// The head of a response.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Head {
    pub status: u16,
    /// The server says that it closes the connection after the response.
    pub closes: bool,
    framing: Framing,
    /// Bytes of the head, empty line included.
    pub length: usize,
}

/// How the length of a body is determined (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq)]
enum Framing {
    Length(usize),
    Chunked,
    EndOfConnection,
}

/// Parses the response that `buffer` starts with and skips interim (1xx) responses before it. None
/// if it is incomplete. `ended` says that the peer closed the connection, `header` names the header
/// field to look for.
///
/// # Errors
/// [`MALFORMED`].
pub fn response(
    buffer: &mut [u8],
    ended: bool,
    header: Option<&str>,
) -> Result<Option<Response>, &'static str> {
    let mut start = 0;
    loop {
        let (mut is_json, mut has_header) = (false, header.is_none());
        // Lengths are compared first: comparing names costs more.
        let head = head(&buffer[start..], |name, value| match name.len() {
            12 if name.eq_ignore_ascii_case("content-type") => is_json = is_json_type(value),
            length => {
                has_header |= header.is_some_and(|header| {
                    header.len() == length && header.eq_ignore_ascii_case(name)
                });
            }
        })?;
        let Some(head) = head else {
            return Ok(None);
        };
        if head.is_interim() {
            start += head.length;
            continue;
        }
        let body = body(buffer, &head, start + head.length, ended)?;
        return Ok(body.map(|(body, end)| Response {
            status: head.status,
            is_json,
            has_header,
            closes: head.closes || !head.is_delimited(),
            start,
            body,
            end,
        }));
    }
}

/// Parses the head that `buffer` starts with and calls `each` with every header field. None if it is
/// incomplete.
///
/// # Errors
/// [`MALFORMED`].
pub fn head(
    buffer: &[u8],
    mut each: impl FnMut(&str, &[u8]),
) -> Result<Option<Head>, &'static str> {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut parsed = httparse::Response::new(&mut []);
    // A client unfolds header lines (RFC 9112, section 5.2).
    let status = httparse::ParserConfig::default()
        .allow_obsolete_multiline_headers_in_responses(true)
        .parse_response_with_uninit_headers(&mut parsed, buffer, &mut fields);
    let length = match status {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(MALFORMED),
    };
    let status = parsed.code.ok_or(MALFORMED)?;
    let is_old = parsed.version == Some(0);
    let mut closes = is_old;
    let mut body_length = None;
    let mut codings = None;
    for field in parsed.headers.iter() {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        match field.name.len() {
            10 if is("connection") => {
                for option in field.value.split(|byte| *byte == b',') {
                    let option = option.trim_ascii();
                    if option.eq_ignore_ascii_case(b"close") {
                        closes = true;
                    } else if is_old && option.eq_ignore_ascii_case(b"keep-alive") {
                        closes = false;
                    }
                }
            }
            14 if is("content-length") => {
                let length = number(field.value.trim_ascii(), 10).ok_or(MALFORMED)?;
                if body_length.is_some_and(|other| other != length) {
                    return Err(MALFORMED);
                }
                body_length = Some(length);
            }
            17 if is("transfer-encoding") => codings = Some(field.value),
            _ => {}
        }
        each(field.name, field.value);
    }
    let framing = match (status, codings, body_length) {
        (100..200 | 204 | 304, _, _) => Framing::Length(0),
        // The final coding determines the framing.
        (_, Some(codings), _) if is_chunked(codings) => Framing::Chunked,
        (_, None, Some(length)) => Framing::Length(length),
        _ => Framing::EndOfConnection,
    };
    // A transfer coding in HTTP/1.0 is faulty framing (RFC 9112, section 6.1).
    closes |= is_old && codings.is_some();
    Ok(Some(Head {
        status,
        closes,
        framing,
        length,
    }))
}

impl Head {
    /// Returns true if a final response follows on the same request; 101 ends HTTP/1.
    #[must_use]
    pub fn is_interim(&self) -> bool {
        matches!(self.status, 100..200) && self.status != 101
    }

    /// Returns true if the body ends before the connection does.
    #[must_use]
    pub fn is_delimited(&self) -> bool {
        self.framing != Framing::EndOfConnection
    }
}

/// Locates the body that starts at `start`, and its end: the index after its framing. Joins chunks in
/// place. None, with nothing moved, if it is incomplete.
///
/// # Errors
/// [`MALFORMED`].
pub fn body(
    buffer: &mut [u8],
    head: &Head,
    start: usize,
    ended: bool,
) -> Result<Option<(Range<usize>, usize)>, &'static str> {
    let available = buffer.len();
    Ok(match head.framing {
        Framing::Length(length) => start
            .checked_add(length)
            .filter(|end| *end <= available)
            .map(|end| (start..end, end)),
        Framing::Chunked => {
            let Some(end) = each_chunk(buffer, start, |_, _| {})? else {
                return Ok(None);
            };
            let mut body = start;
            each_chunk(buffer, start, |buffer, chunk| {
                let length = chunk.len();
                buffer.copy_within(chunk, body);
                body += length;
            })?;
            Some((start..body, end))
        }
        Framing::EndOfConnection => ended.then_some((start..available, available)),
    })
}

/// Calls `each` with the range of every chunk from `start` on. Returns the index after the trailer
/// section, or none if it is incomplete.
fn each_chunk(
    buffer: &mut [u8],
    start: usize,
    mut each: impl FnMut(&mut [u8], Range<usize>),
) -> Result<Option<usize>, &'static str> {
    let mut at = start;
    loop {
        let Some(end) = line_end(buffer, at) else {
            return Ok(None);
        };
        // A chunk extension follows the size after a semicolon.
        let size = buffer[at..end].split(|byte| *byte == b';').next();
        let size = size.and_then(|size| number(size.trim_ascii(), 16));
        let size = size.ok_or(MALFORMED)?;
        at = end + 2;
        if size == 0 {
            break;
        }
        let end = at.checked_add(size).ok_or(MALFORMED)?;
        match buffer.get(end..end.saturating_add(2)) {
            Some(b"\r\n") => {}
            Some(_) => return Err(MALFORMED),
            None => return Ok(None),
        }
        each(buffer, at..end);
        at = end + 2;
    }
    // The trailer section ends with an empty line.
    loop {
        let Some(end) = line_end(buffer, at) else {
            return Ok(None);
        };
        let is_empty = end == at;
        at = end + 2;
        if is_empty {
            return Ok(Some(at));
        }
    }
}

/// Returns the index of the CRLF that ends the line at `start`.
fn line_end(buffer: &[u8], start: usize) -> Option<usize> {
    let rest = buffer.get(start..)?;
    let length = rest.windows(2).position(|pair| pair == b"\r\n")?;
    Some(start + length)
}

fn is_chunked(codings: &[u8]) -> bool {
    let last = codings.rsplit(|byte| *byte == b',').next();
    last.is_some_and(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"chunked"))
}

fn is_json_type(value: &[u8]) -> bool {
    let essence = value.split(|byte| *byte == b';').next();
    let essence = essence.unwrap_or_default().trim_ascii();
    let ends_with = |suffix: &[u8]| {
        let start = essence.len().checked_sub(suffix.len());
        start.is_some_and(|start| essence[start..].eq_ignore_ascii_case(suffix))
    };
    essence.eq_ignore_ascii_case(b"application/json") || ends_with(b"+json")
}

/// Parses digits without a sign, which `from_str_radix` would accept.
fn number(digits: &[u8], radix: u32) -> Option<usize> {
    let is_digit = |byte: &u8| char::from(*byte).is_digit(radix);
    if !digits.iter().all(is_digit) {
        return None;
    }
    usize::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
         content-length: 2\r\nX-Id: 7\r\n\r\n{}";
    const CHUNKED: &str = "HTTP/1.1 201 Created\r\ncontent-type: Application/JSON; charset=utf-8\r\n\
         Transfer-Encoding: Chunked\r\n\r\n3\r\n{\"a\r\nA;x=y\r\n\":\"1234567\r\n2\r\n\"}\r\n0\r\n\
         X-Trailer: 1\r\n\r\n";
    const INTERIM: &str = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n1";

    fn parsed(text: &str) -> Result<Option<Response>, &'static str> {
        response(&mut text.as_bytes().to_vec(), false, None)
    }

    #[test]
    fn response_is_complete_with_its_last_byte() {
        for text in [LENGTH, CHUNKED, INTERIM] {
            for cut in 0..text.len() {
                assert_eq!(parsed(&text[..cut]), Ok(None), "{cut} bytes of {text}");
            }
            let found = parsed(&format!("{text}HTTP/1.1")).unwrap().unwrap();
            assert_eq!(found.end, text.len());
            assert!(found.is_json && !found.closes);
        }
    }

    #[test]
    fn chunks_are_joined_in_place() {
        let mut buffer = CHUNKED.as_bytes().to_vec();
        let found = response(&mut buffer, false, None).unwrap().unwrap();
        assert_eq!(found.status, 201);
        assert_eq!(&buffer[found.body], br#"{"a":"1234567"}"#);
    }

    #[test]
    fn interim_responses_are_skipped_and_switching_protocols_is_final() {
        let mut buffer = INTERIM.as_bytes().to_vec();
        let found = response(&mut buffer, false, None).unwrap().unwrap();
        assert_eq!((found.status, &buffer[found.body]), (200, &b"1"[..]));
        let switched = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
        assert_eq!(parsed(switched).unwrap().unwrap().status, 101);
    }

    #[test]
    fn header_field_is_found_in_any_case() {
        let look = |name| response(&mut LENGTH.as_bytes().to_vec(), false, Some(name));
        assert!(look("x-id").unwrap().unwrap().has_header);
        assert!(!look("x-di").unwrap().unwrap().has_header);
    }

    #[test]
    fn body_without_a_length_ends_with_the_connection() {
        for text in [
            "HTTP/1.1 200 OK\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\nabc",
        ] {
            let mut text = text.as_bytes().to_vec();
            assert_eq!(response(&mut text, false, None), Ok(None));
            let found = response(&mut text, true, None).unwrap().unwrap();
            assert_eq!(&text[found.body], b"abc");
            assert!(found.closes);
        }
    }

    #[test]
    fn folded_header_line_is_one_value() {
        let text = "HTTP/1.1 200 OK\r\nContent-Type: application/json;\r\n charset=utf-8\r\n\
             Content-Length:\r\n\t2\r\n\r\n{}";
        let found = parsed(text).unwrap().unwrap();
        assert!(found.is_json);
        assert_eq!(found.end, text.len());
    }

    #[test]
    fn status_without_a_body_ignores_the_framing_fields() {
        for text in [
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        ] {
            let found = parsed(text).unwrap().unwrap();
            assert_eq!((found.end, found.body.len()), (text.len(), 0), "{text}");
        }
    }

    #[test]
    fn close_is_announced_by_the_header_or_the_version() {
        for (head, closes) in [
            ("HTTP/1.1 200 OK", false),
            ("HTTP/1.1 200 OK\r\nConnection: Close", true),
            ("HTTP/1.1 200 OK\r\nConnection: x, close", true),
            ("HTTP/1.0 200 OK", true),
            ("HTTP/1.0 200 OK\r\nConnection: keep-alive", false),
        ] {
            let text = format!("{head}\r\nContent-Length: 0\r\n\r\n");
            assert_eq!(parsed(&text).unwrap().unwrap().closes, closes, "{text}");
        }
        let faulty = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\
             \r\n\r\n0\r\n\r\n";
        assert!(parsed(faulty).unwrap().unwrap().closes);
    }

    #[test]
    fn malformed_response_is_rejected() {
        for text in [
            "hello\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{",
        ] {
            assert_eq!(parsed(text), Err(MALFORMED), "{text}");
        }
    }

    #[test]
    fn json_type_may_have_parameters() {
        for (value, is) in [
            ("application/json", true),
            ("APPLICATION/JSON;charset=utf-8", true),
            ("application/json ; charset=utf-8", true),
            ("application/vnd.api+JSON;charset=utf-8", true),
            ("application/jsonp", false),
            ("text/html", false),
            ("", false),
        ] {
            assert_eq!(is_json_type(value.as_bytes()), is, "{value}");
        }
    }
}
