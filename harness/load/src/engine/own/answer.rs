//! An answer in a buffer (RFC 9112): where it ends, and what its head says.

use std::mem::MaybeUninit;
use std::ops::Range;

/// Most headers that an answer may have.
const HEADERS_MAX: usize = 64;

/// What is said of bytes that are no answer.
pub const MALFORMED: &str = "malformed";

/// A whole answer at the begin of a buffer.
#[derive(Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    /// Whether its content type is JSON, whatever its parameters.
    pub is_json: bool,
    /// Whether the header that was looked for is there.
    pub has_header: bool,
    /// Whether the server closes the connection after it.
    pub closes: bool,
    /// Where the body is, chunks put together.
    pub body: Range<usize>,
    /// Where it ends.
    pub end: usize,
}

/// How the end of a body is told (RFC 9112, 6.3).
#[derive(Clone, Copy)]
enum Framing {
    Length(usize),
    Chunked,
    EndOfConnection,
}

/// The answer that `buffer` begins with, or none if more must come first. `ended` says that no more
/// will come. Looks for a header of this name in lower case.
///
/// # Errors
/// It is no answer.
pub fn parse(
    buffer: &mut [u8],
    ended: bool,
    header: Option<&str>,
) -> Result<Option<Answer>, &'static str> {
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut head = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut head,
        buffer,
        &mut headers,
    );
    let begin = match parsed {
        Ok(httparse::Status::Complete(begin)) => begin,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(MALFORMED),
    };
    let status = head.code.ok_or(MALFORMED)?;
    let mut answer = Answer {
        status,
        is_json: false,
        has_header: header.is_none(),
        closes: head.version == Some(0),
        body: begin..begin,
        end: begin,
    };
    let mut framing = match status {
        100..200 | 204 | 304 => Framing::Length(0),
        _ => Framing::EndOfConnection,
    };
    for field in head.headers.iter() {
        // Lengths are told apart first: comparing names costs more.
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        match field.name.len() {
            10 if is("connection") => match field.value {
                value if value.eq_ignore_ascii_case(b"close") => answer.closes = true,
                value if value.eq_ignore_ascii_case(b"keep-alive") => answer.closes = false,
                _ => {}
            },
            12 if is("content-type") => answer.is_json = is_json(field.value),
            14 if is("content-length") && !matches!(framing, Framing::Chunked) => {
                framing = Framing::Length(number(field.value, 10).ok_or(MALFORMED)?);
            }
            17 if is("transfer-encoding") && field.value.eq_ignore_ascii_case(b"chunked") => {
                framing = Framing::Chunked;
            }
            length if header.is_some_and(|name| name.len() == length && is(name)) => {
                answer.has_header = true;
            }
            _ => {}
        }
    }
    let body = match framing {
        Framing::Length(length) => begin.checked_add(length).map(|end| (end, end)),
        Framing::Chunked => match chunks(buffer, begin)? {
            Some((body, end)) => Some((body, end)),
            None => return Ok(None),
        },
        Framing::EndOfConnection => {
            answer.closes = true;
            let length = buffer.len();
            ended.then_some((length, length))
        }
    };
    Ok(body
        .filter(|(_, end)| *end <= buffer.len())
        .map(|(body, end)| {
            answer.body.end = body;
            answer.end = end;
            answer
        }))
}

/// Puts the chunks from `begin` on together there: where the body ends, and the last chunk. None,
/// and nothing moved, if more must come first.
fn chunks(buffer: &mut [u8], begin: usize) -> Result<Option<(usize, usize)>, &'static str> {
    let Some(end) = each_chunk(buffer, begin, |_, _| {})? else {
        return Ok(None);
    };
    let mut body = begin;
    each_chunk(buffer, begin, |buffer, chunk| {
        let length = chunk.len();
        buffer.copy_within(chunk, body);
        body += length;
    })?;
    Ok(Some((body, end)))
}

/// Calls for each chunk from `begin` on: where the last one ends.
fn each_chunk(
    buffer: &mut [u8],
    begin: usize,
    mut call: impl FnMut(&mut [u8], Range<usize>),
) -> Result<Option<usize>, &'static str> {
    let mut at = begin;
    loop {
        let Some(line) = line(buffer, at) else {
            return Ok(None);
        };
        // Extensions of a chunk say nothing of its length.
        let size = buffer[at..line.end].split(|byte| *byte == b';').next();
        let size = size.and_then(|size| number(size.trim_ascii(), 16));
        let size = size.ok_or(MALFORMED)?;
        at = line.next;
        if size == 0 {
            break;
        }
        let end = at.checked_add(size).ok_or(MALFORMED)?;
        match buffer.get(end..end.saturating_add(2)) {
            Some(b"\r\n") => {}
            Some(_) => return Err(MALFORMED),
            None => return Ok(None),
        }
        call(buffer, at..end);
        at = end + 2;
    }
    // Trailers, if there are any, and an empty line.
    loop {
        let Some(line) = line(buffer, at) else {
            return Ok(None);
        };
        let is_last = line.end == at;
        at = line.next;
        if is_last {
            return Ok(Some(at));
        }
    }
}

/// A line of a buffer, without its end, and where the next one begins.
struct Line {
    end: usize,
    next: usize,
}

fn line(buffer: &[u8], begin: usize) -> Option<Line> {
    let rest = buffer.get(begin..)?;
    let length = rest.windows(2).position(|pair| pair == b"\r\n")?;
    let end = begin + length;
    Some(Line { end, next: end + 2 })
}

fn is_json(value: &[u8]) -> bool {
    const JSON: &[u8] = b"application/json";
    let Some((essence, rest)) = value.split_at_checked(JSON.len()) else {
        return false;
    };
    let rest = rest.trim_ascii_start();
    essence.eq_ignore_ascii_case(JSON) && (rest.is_empty() || rest.starts_with(b";"))
}

/// Digits alone, as a length has them; `from_str_radix` takes a sign too.
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
         Transfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\nA;x=y\r\n\":\"1234567\r\n2\r\n\"}\r\n0\r\n\
         X-Trailer: 1\r\n\r\n";

    fn parsed(text: &str) -> Result<Option<Answer>, &'static str> {
        parse(&mut text.as_bytes().to_vec(), false, None)
    }

    #[test]
    fn an_answer_is_whole_with_its_last_byte() {
        for text in [LENGTH, CHUNKED] {
            for cut in 0..text.len() {
                assert_eq!(parsed(&text[..cut]), Ok(None), "{cut} bytes of {text}");
            }
            let answer = parsed(&format!("{text}HTTP/1.1")).unwrap().unwrap();
            assert_eq!(answer.end, text.len());
            assert!(answer.is_json && !answer.closes);
        }
    }

    #[test]
    fn chunks_are_put_together() {
        let mut buffer = CHUNKED.as_bytes().to_vec();
        let answer = parse(&mut buffer, false, None).unwrap().unwrap();
        assert_eq!(answer.status, 201);
        assert_eq!(&buffer[answer.body], br#"{"a":"1234567"}"#);
    }

    #[test]
    fn a_header_is_found_whatever_its_case() {
        let look = |name| parse(&mut LENGTH.as_bytes().to_vec(), false, Some(name));
        assert!(look("x-id").unwrap().unwrap().has_header);
        assert!(!look("x-di").unwrap().unwrap().has_header);
    }

    #[test]
    fn a_body_without_a_length_ends_with_the_connection() {
        let mut text = b"HTTP/1.1 200 OK\r\n\r\nabc".to_vec();
        assert_eq!(parse(&mut text, false, None), Ok(None));
        let answer = parse(&mut text, true, None).unwrap().unwrap();
        assert_eq!(&text[answer.body], b"abc");
        assert!(answer.closes);
        let mut none = b"HTTP/1.1 204 No Content\r\n\r\n".to_vec();
        assert_eq!(parse(&mut none, false, None).unwrap().unwrap().end, 27);
    }

    #[test]
    fn a_close_is_announced_by_the_header_or_by_the_version() {
        for (text, closes) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false),
            (
                "HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n",
                true,
            ),
            ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", true),
            (
                "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
                false,
            ),
        ] {
            assert_eq!(parsed(text).unwrap().unwrap().closes, closes, "{text}");
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for text in [
            "hello\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{",
        ] {
            assert_eq!(parsed(text), Err(MALFORMED), "{text}");
        }
    }

    #[test]
    fn json_may_have_parameters_and_nothing_else() {
        for (value, is) in [
            ("application/json", true),
            ("APPLICATION/JSON;charset=utf-8", true),
            ("application/json ; charset=utf-8", true),
            ("application/jsonp", false),
            ("text/html", false),
            ("", false),
        ] {
            assert_eq!(is_json(value.as_bytes()), is, "{value}");
        }
    }
}
