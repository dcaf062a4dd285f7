//! `GET /data`, `GET /health`, and requests that neither answers.

use schema::{ErrorCode, fixtures};
use testbed::raw::Answer;

use crate::{Upstream, bearer, request, request_with};

#[track_caller]
fn assert_error(answer: &Answer, code: ErrorCode) {
    assert_eq!(answer.status, code.status());
    assert_eq!(answer.text(), code.body().to_json());
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[test]
fn product_is_sent_byte_for_byte() {
    let upstream = Upstream::start();
    let answer = upstream.ask("GET", "/data");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.text(), fixtures::PRODUCT_JSON);
}

#[test]
fn health_needs_no_key() {
    let health = request_with("GET", "/health", &[]);
    let answer = Upstream::start().connect().ask(health).unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    let content_type = answer.header("content-type").unwrap();
    assert!(content_type.starts_with("text/plain"));
}

#[test]
fn other_keys_are_refused() {
    let upstream = Upstream::start();
    let key = bearer();
    let longer = format!("{key}x");
    let shorter = &key[..key.len() - 1];
    let basic = key.replace("Bearer", "Basic");
    let without_scheme = key.replace("Bearer ", "");
    let refused: [&[&str]; 8] = [
        &[],
        &["Bearer "],
        &["Bearer wrong"],
        &[&longer],
        &[shorter],
        &[&basic],
        &[&without_scheme],
        &[&key, &key],
    ];
    for authorization in refused {
        for path in ["/data", "/faults/status-200/data"] {
            let request = request_with("GET", path, authorization);
            let answer = upstream.connect().ask(request).unwrap();
            assert_error(&answer, ErrorCode::InvalidApiKey);
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
}

#[test]
fn unknown_paths_are_not_found() {
    let upstream = Upstream::start();
    for path in [
        "/",
        "/data/",
        "/datax",
        "/faults/data",
        "/faults/nonsense/data",
        "/faults/hang",
    ] {
        assert_error(&upstream.ask("GET", path), ErrorCode::NotFound);
    }
}

#[test]
fn other_methods_are_refused_with_the_allowed_ones() {
    let upstream = Upstream::start();
    for path in ["/data", "/health", "/faults/hang/data"] {
        let answer = upstream.ask("DELETE", path);
        assert_error(&answer, ErrorCode::MethodNotAllowed);
        assert_eq!(answer.header("allow"), Some("GET, HEAD"));
    }
}

#[test]
fn head_has_the_headers_of_get_and_no_body() {
    let upstream = Upstream::start();
    let mut connection = upstream.connect();
    let answer = connection.ask(request("HEAD", "/data")).unwrap();
    let length = fixtures::PRODUCT_JSON.len().to_string();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-length"), Some(length.as_str()));
    let next = connection.ask(request("GET", "/health")).unwrap();
    assert_eq!(next.text(), "ok");
}
