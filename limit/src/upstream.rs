//! The upstream of `/catalog`: a 200 is forwarded as received, head and body.

use std::io;
use std::net::TcpStream;

use schema::ErrorCode;
use schema::limits::UPSTREAM_BODY_MAX_BYTES;

use crate::answer;
use crate::backend::{Backend, Progress, connect};
use crate::config::UpstreamConfig;
use crate::message::MessageEnd;

pub(crate) struct Upstream {
    address: String,
    request: Vec<u8>,
    unavailable: Vec<u8>,
    end: MessageEnd,
}

impl Upstream {
    pub(crate) fn new(config: &UpstreamConfig) -> Self {
        let UpstreamConfig {
            address,
            path,
            api_key,
        } = config;
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {api_key}\r\n\r\n"
        );
        Self {
            address: address.clone(),
            request: request.into_bytes(),
            unavailable: answer::error(ErrorCode::UpstreamUnavailable),
            end: MessageEnd::new(),
        }
    }
}

impl Backend for Upstream {
    fn connect(&mut self) -> io::Result<TcpStream> {
        connect(&self.address)
    }

    fn request(&self) -> &[u8] {
        &self.request
    }

    fn parse(&self, received: &[u8], answer: &mut Vec<u8>) -> Progress {
        const OK: &[u8] = b"HTTP/1.1 200 ";
        if !received.starts_with(&OK[..OK.len().min(received.len())]) {
            return Progress::Invalid;
        }
        match self.end.of_answer(received) {
            Some(length) if length == received.len() => {
                answer.extend_from_slice(received);
                Progress::Complete
            }
            None if received.len() <= UPSTREAM_BODY_MAX_BYTES => Progress::Partial,
            _ => Progress::Invalid,
        }
    }

    fn unavailable(&self) -> &[u8] {
        &self.unavailable
    }

    fn is_cheap_to_connect(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_complete_200_is_forwarded() {
        let upstream = Upstream::new(&UpstreamConfig {
            address: "upstream:8000".to_owned(),
            path: "/data".to_owned(),
            api_key: "key".to_owned(),
        });
        let parse = |received: &str| {
            let mut answer = Vec::new();
            let progress = upstream.parse(received.as_bytes(), &mut answer);
            assert!(answer.is_empty() || answer == received.as_bytes());
            progress
        };
        let complete = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(parse(complete), Progress::Complete);
        for length in 0..complete.len() {
            assert_eq!(parse(&complete[..length]), Progress::Partial, "{length}");
        }
        for invalid in [
            "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}}",
            "SSH",
        ] {
            assert_eq!(parse(invalid), Progress::Invalid, "{invalid}");
        }
    }
}
