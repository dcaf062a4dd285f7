//! The end of an HTTP/1.1 message: its head, and a body of the length in the head.

use std::str;

use memchr::memmem::Finder;

const HEAD_END: &[u8] = b"\r\n\r\n";

/// The end of the header's name. Clients and servers write it in lower case; capitals are not found.
const LENGTH_END: &[u8] = b"ength:";

/// The characters before [`LENGTH_END`].
const LENGTH_START: &[u8] = b"\ncontent-l";

/// Finds the end of messages.
pub(crate) struct MessageEnd {
    head: Finder<'static>,
    length: Finder<'static>,
}

impl MessageEnd {
    pub(crate) fn new() -> Self {
        Self {
            head: Finder::new(HEAD_END),
            length: Finder::new(LENGTH_END),
        }
    }

    /// Returns the length of the request at the start of `bytes`, if it is complete. `GET` has no body.
    pub(crate) fn of_request(&self, bytes: &[u8]) -> Option<usize> {
        let head = self.head(bytes)?;
        if bytes.starts_with(b"GET ") {
            return Some(head);
        }
        complete(bytes, head, self.body_length(&bytes[..head]).unwrap_or(0))
    }

    /// Returns the length of the answer at the start of `bytes`, if it is complete and has a content length.
    pub(crate) fn of_answer(&self, bytes: &[u8]) -> Option<usize> {
        let head = self.head(bytes)?;
        complete(bytes, head, self.body_length(&bytes[..head])?)
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

fn complete(bytes: &[u8], head: usize, body: usize) -> Option<usize> {
    let length = head.checked_add(body)?;
    (length <= bytes.len()).then_some(length)
}
