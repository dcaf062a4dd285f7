//! `harness check` of a server whose responses are legal in unusual ways.

use std::net::SocketAddr;

use crate::sandbox::Sandbox;
use crate::server::{respond, start_with};

/// Responses by path, each followed by the unannounced end of the connection: interim responses, chunks
/// with trailers, codings in any case, a folded line, and a repeated header.
const UNUSUAL: [(&str, &[u8]); 4] = [
    (
        "/info",
        b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\nx-response-id: 1\r\n\
          x-response-id: 2\r\ntransfer-encoding: Chunked\r\n\r\n2;x=y\r\n{}\r\n0\r\nx-sum: 1\r\n\r\n",
    ),
    (
        "/movies",
        b"HTTP/1.1 201 Created\r\ncontent-type: application/vnd.api+json;\r\n charset=utf-8\r\n\
          content-length: 28\r\n\r\n{\"id\":\"a\",\"user\":{\"id\":\"b\"}}",
    ),
    (
        "/catalog",
        b"HTTP/1.0 200\r\n\r\n{\"id\":\"prod-1\",\"vendor\":{\"name\":\"a\"}}",
    ),
    (
        "/users/me",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 \r\nTRANSFER-ENCODING: CHUNKED\r\n\r\n\
          A\r\n{\"id\":\"use\r\n016\r\nr-123\",\"city\":\"London\"\r\n01\r\n}\r\n000\r\n\r\n",
    ),
];

#[test]
fn unusual_but_legal_responses_pass_level_core() {
    let sandbox = Sandbox::new(&[]);
    let url = format!("http://localhost:{}", start().port());
    sandbox.run_to(0, &["check", "--url", &url, "--level", "core"]);
}

/// Serves on a free port until the process ends.
fn start() -> SocketAddr {
    start_with(|listener| {
        for client in listener.incoming().flatten() {
            respond(&client, |path| {
                let response = UNUSUAL.iter().find(|(known, _)| *known == path);
                response.unwrap().1
            });
        }
    })
}
