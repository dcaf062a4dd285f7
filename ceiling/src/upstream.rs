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
}
