//! Where an HTTP/1.1 message ends: its head, and a body of the length that the head tells.

use std::str;

use memchr::memmem::Finder;

const HEAD_END: &[u8] = b"\r\n\r\n";

/// The end of the header's name, which clients and servers write in lower case; in capitals it is
/// not found.
const LENGTH_END: &[u8] = b"ength:";

/// What stands before that.
const LENGTH_START: &[u8] = b"\ncontent-l";

/// Finds where messages end.
pub(crate) struct Ends {
    head: Finder<'static>,
    length: Finder<'static>,
}

impl Ends {
    pub(crate) fn new() -> Self {
        Self {
            head: Finder::new(HEAD_END),
            length: Finder::new(LENGTH_END),
        }
    }

    /// The length of the request at the start of `bytes`, if it is all there. `GET` has no body.
    pub(crate) fn request(&self, bytes: &[u8]) -> Option<usize> {
        if bytes.starts_with(b"GET ") {
            self.head(bytes)
        } else {
            let head = self.head(bytes)?;
            whole(bytes, head, self.body_length(&bytes[..head]).unwrap_or(0))
        }
    }

    /// The length of the answer at the start of `bytes`, if it is all there and tells its length.
    pub(crate) fn answer(&self, bytes: &[u8]) -> Option<usize> {
        let head = self.head(bytes)?;
        whole(bytes, head, self.body_length(&bytes[..head])?)
    }

    fn head(&self, bytes: &[u8]) -> Option<usize> {
        Some(self.head.find(bytes)? + HEAD_END.len())
    }

    fn body_length(&self, head: &[u8]) -> Option<usize> {
        self.length.find_iter(head).find_map(|at| {
            let start = &head[at.checked_sub(LENGTH_START.len())?..at];
            if !start.eq_ignore_ascii_case(LENGTH_START) {
                return None;
            }
            let value = &head[at + LENGTH_END.len()..];
            let line = value.split(|byte| *byte == b'\r').next()?;
            str::from_utf8(line).ok()?.trim().parse().ok()
        })
    }
}

fn whole(bytes: &[u8], head: usize, body: usize) -> Option<usize> {
    let length = head.checked_add(body)?;
    (length <= bytes.len()).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::Ends;

    #[test]
    fn a_request_ends_with_its_head_or_its_body() {
        let get = b"GET /info HTTP/1.1\r\nhost: a\r\n\r\n";
        assert_eq!(Ends::new().request(get), Some(get.len()));
        for name in ["content-length", "Content-Length"] {
            let post =
                format!("POST /movies HTTP/1.1\r\nx-strength: 9\r\n{name}: 2\r\n\r\n{{}}GET");
            assert_eq!(Ends::new().request(post.as_bytes()), Some(post.len() - 3));
        }
    }

    #[test]
    fn what_is_not_all_there_has_no_end() {
        let post = b"POST /movies HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}";
        for length in 0..post.len() {
            assert_eq!(Ends::new().request(&post[..length]), None, "{length}");
        }
        assert_eq!(Ends::new().answer(b"HTTP/1.1 200 OK\r\n\r\n{}"), None);
    }
}
