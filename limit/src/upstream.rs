//! The upstream of `/catalog`: the same bytes are asked every time, and a 200 goes back as it came,
//! head and body.

use std::io;
use std::net::TcpStream;

use schema::ErrorCode;
use schema::limits::UPSTREAM_BODY_MAX_BYTES;

use crate::answer;
use crate::config::UpstreamConfig;
use crate::far::{Progress, connect};
use crate::message::Ends;

/// The upstream.
pub(crate) struct Upstream {
    address: String,
    question: Vec<u8>,
    unavailable: Vec<u8>,
    ends: Ends,
}

impl Upstream {
    pub(crate) fn new(config: &UpstreamConfig) -> Self {
        let UpstreamConfig {
            address,
            path,
            api_key,
        } = config;
        let question = format!(
            "GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {api_key}\r\n\r\n"
        );
        Self {
            address: address.clone(),
            question: question.into_bytes(),
            unavailable: answer::error(ErrorCode::UpstreamUnavailable),
            ends: Ends::new(),
        }
    }

    pub(crate) fn open(&self) -> io::Result<TcpStream> {
        connect(&self.address)
    }

    pub(crate) fn question(&self) -> &[u8] {
        &self.question
    }

    pub(crate) fn unavailable(&self) -> &[u8] {
        &self.unavailable
    }

    pub(crate) fn answer(&self, came: &[u8], to_client: &mut Vec<u8>) -> Progress {
        const OK: &[u8] = b"HTTP/1.1 200 ";
        if !came.starts_with(&OK[..OK.len().min(came.len())]) {
            return Progress::Broken;
        }
        match self.ends.answer(came) {
            Some(length) if length == came.len() => {
                to_client.extend_from_slice(came);
                Progress::Whole
            }
            None if came.len() <= UPSTREAM_BODY_MAX_BYTES => Progress::Partial,
            _ => Progress::Broken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(came: &str) -> (Progress, String) {
        let upstream = Upstream::new(&UpstreamConfig {
            address: "upstream:8000".to_owned(),
            path: "/data".to_owned(),
            api_key: "key".to_owned(),
        });
        let mut told = Vec::new();
        let progress = upstream.answer(came.as_bytes(), &mut told);
        (progress, String::from_utf8(told).unwrap())
    }

    #[test]
    fn a_whole_200_goes_back_as_it_came() {
        let came = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(answer(came), (Progress::Whole, came.to_owned()));
        for length in 0..came.len() {
            assert_eq!(answer(&came[..length]), (Progress::Partial, String::new()));
        }
    }

    #[test]
    fn what_is_no_200_or_longer_than_it_says_breaks_the_connection() {
        for came in [
            "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}}",
            "SSH",
        ] {
            assert_eq!(answer(came), (Progress::Broken, String::new()), "{came}");
        }
    }
}
