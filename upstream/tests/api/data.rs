//! `GET /data`, `GET /health`, and what is neither.

use schema::{ErrorCode, fixtures};
use testbed::raw::Connection;

use crate::{Upstream, bearer, request};

#[test]
fn answers_the_product_byte_for_byte() {
    let answer = Upstream::start().ask("GET", "/data").unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.text(), fixtures::PRODUCT_JSON);
}

#[test]
fn the_scheme_is_case_insensitive() {
    let key = bearer().replace("Bearer", "bEARER");
    let answer = Upstream::start().ask_as("GET", "/data", &[&key]).unwrap();
    assert_eq!(answer.status, 200);
}

#[test]
fn refuses_every_other_key() {
    let upstream = Upstream::start();
    let right = bearer();
    let longer = format!("{right}x");
    let shorter = &right[..right.len() - 1];
    let basic = right.replace("Bearer", "Basic");
    let bare = right.replace("Bearer ", "");
    let refused: [&[&str]; 8] = [
        &[],
        &["Bearer "],
        &["Bearer wrong"],
        &[&longer],
        &[shorter],
        &[&basic],
        &[&bare],
        &[&right, &right],
    ];
    for authorization in refused {
        for path in ["/data", "/faults/status-200/data"] {
            let answer = upstream.ask_as("GET", path, authorization).unwrap();
            let code = ErrorCode::InvalidApiKey;
            assert_eq!(answer.status, code.status(), "{authorization:?}");
            assert_eq!(answer.text(), code.body().to_json());
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
}

#[test]
fn health_needs_no_key() {
    let answer = Upstream::start().ask_as("GET", "/health", &[]).unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    let content_type = answer.header("content-type").unwrap();
    assert!(content_type.starts_with("text/plain"));
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
        let answer = upstream.ask("GET", path).unwrap();
        assert_eq!(answer.status, ErrorCode::NotFound.status(), "{path}");
        assert_eq!(answer.text(), ErrorCode::NotFound.body().to_json());
    }
}

#[test]
fn other_methods_are_not_allowed_and_the_allowed_ones_are_named() {
    let upstream = Upstream::start();
    for path in ["/data", "/health", "/faults/hang/data"] {
        let answer = upstream.ask("DELETE", path).unwrap();
        assert_eq!(answer.status, ErrorCode::MethodNotAllowed.status());
        assert_eq!(answer.text(), ErrorCode::MethodNotAllowed.body().to_json());
        assert_eq!(answer.header("allow"), Some("GET, HEAD"));
    }
}

#[test]
fn head_is_get_without_the_body() {
    let upstream = Upstream::start();
    let mut connection = Connection::open(upstream.address()).unwrap();
    let answer = connection
        .ask(request("HEAD", "/data", &[&bearer()]))
        .unwrap();
    let length = fixtures::PRODUCT_JSON.len().to_string();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-length"), Some(length.as_str()));
    let next = connection.ask(request("GET", "/health", &[])).unwrap();
    assert_eq!(next.text(), "ok", "no body came before the next answer");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let upstream = Upstream::start();
    let mut connection = Connection::open(upstream.address()).unwrap();
    let data = request("GET", "/data", &[&bearer()]);
    let health = request("GET", "/health", &[]);
    connection.send(format!("{data}{health}{data}")).unwrap();
    for expected in [fixtures::PRODUCT_JSON, "ok", fixtures::PRODUCT_JSON] {
        assert_eq!(connection.answer().unwrap().text(), expected);
    }
}

#[test]
fn a_request_may_arrive_split_anywhere() {
    let upstream = Upstream::start();
    let mut connection = Connection::open(upstream.address()).unwrap();
    let data = request("GET", "/data", &[&bearer()]);
    for split in 1..data.len() {
        connection.send(&data[..split]).unwrap();
        std::thread::yield_now();
        let answer = connection.ask(&data[split..]).unwrap();
        assert_eq!(answer.text(), fixtures::PRODUCT_JSON, "split at {split}");
    }
}
