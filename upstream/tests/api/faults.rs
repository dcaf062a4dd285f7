//! One test per row of the contract's table of faults.

use std::time::{Duration, Instant};

use schema::fault::Fault;
use schema::limits::UPSTREAM_BODY_MAX_BYTES;
use schema::{ErrorCode, Product, fixtures, json};
use testbed::raw::{Answer, Connection};

use crate::{Upstream, request};

/// Requests `/faults/<fault>/data` on a new connection.
fn ask(upstream: &Upstream, fault: &str) -> Answer {
    upstream.ask("GET", &format!("/faults/{fault}/data"))
}

/// Sends the request without reading the answer.
fn send(upstream: &Upstream, fault: &str) -> Connection {
    let mut connection = upstream.connect();
    let path = format!("/faults/{fault}/data");
    connection.send(request("GET", &path)).unwrap();
    connection
}

#[test]
fn faults_are_not_found_unless_enabled() {
    let upstream = Upstream::with_faults("0");
    for name in Fault::NAMES {
        let fault = name.replace("<code>", "500").replace("<ms>", "1");
        let status = ask(&upstream, &fault).status;
        assert_eq!(status, ErrorCode::NotFound.status(), "{name}");
    }
}

#[test]
fn status_sends_the_product_under_that_status() {
    let upstream = Upstream::start();
    for status in [200, 201, 401, 404, 418, 500, 503, 599] {
        let answer = ask(&upstream, &format!("status-{status}"));
        assert_eq!(answer.status, status);
        assert_eq!(answer.text(), fixtures::PRODUCT_JSON);
    }
    for without_body in [204, 304] {
        let mut connection = send(&upstream, &format!("status-{without_body}"));
        assert_eq!(connection.head().unwrap().status, without_body);
        let next = connection.ask(request("GET", "/health")).unwrap();
        assert_eq!(next.text(), "ok");
    }
}

#[test]
fn delay_sends_the_product_after_that_time() {
    let upstream = Upstream::start();
    let began = Instant::now();
    let answer = ask(&upstream, "delay-200");
    assert!(began.elapsed() >= Duration::from_millis(200));
    assert_eq!(answer.text(), fixtures::PRODUCT_JSON);
}

#[test]
fn hang_never_answers_and_delays_no_other_connection() {
    let upstream = Upstream::start();
    let mut hanging = send(&upstream, "hang");
    assert_eq!(upstream.ask("GET", "/data").status, 200);
    assert!(!hanging.readable_within(Duration::from_millis(300)).unwrap());
}

#[test]
fn reset_resets_the_connection_without_an_answer() {
    let upstream = Upstream::start();
    assert!(!send(&upstream, "reset").closed().unwrap());
}

#[test]
fn truncate_closes_in_the_middle_of_the_announced_body() {
    let upstream = Upstream::start();
    let mut connection = send(&upstream, "truncate");
    let head = connection.head().unwrap();
    let length = fixtures::PRODUCT_JSON.len();
    let announced = head.header("content-length").map(str::parse);
    assert_eq!(announced, Some(Ok(length)));
    let body = connection.rest().unwrap();
    assert_eq!(body, fixtures::PRODUCT_JSON.as_bytes()[..length / 2]);
}

#[test]
fn trickle_pauses_before_each_byte() {
    let upstream = Upstream::start();
    let mut connection = send(&upstream, "trickle");
    assert_eq!(connection.head().unwrap().status, 200);
    let began = Instant::now();
    for expected in ["1\r\n{\r\n", "1\r\n\"\r\n", "1\r\ni\r\n"] {
        assert_eq!(connection.take(6).unwrap(), expected.as_bytes());
    }
    assert!(began.elapsed() >= Duration::from_millis(150));
}

#[test]
fn malformed_and_wrong_shape_are_not_products() {
    let upstream = Upstream::start();
    let rejection = |fault: &str| {
        let answer = ask(&upstream, fault);
        assert_eq!(answer.status, 200);
        json::from_slice::<Product<'_>>(&answer.body).unwrap_err()
    };
    assert_eq!(rejection("malformed"), json::Rejection::Malformed);
    let invalid = rejection("wrong-shape");
    assert!(matches!(invalid, json::Rejection::Invalid { .. }));
}

#[test]
fn redirect_leads_to_the_product() {
    let upstream = Upstream::start();
    let answer = ask(&upstream, "redirect");
    assert_eq!(answer.status, 302);
    let followed = upstream.ask("GET", answer.header("location").unwrap());
    assert_eq!(followed.text(), fixtures::PRODUCT_JSON);
}

#[test]
fn huge_is_a_product_longer_than_a_target_may_accept() {
    let answer = ask(&Upstream::start(), "huge");
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    let padding = 2 * UPSTREAM_BODY_MAX_BYTES;
    assert_eq!(answer.body.len(), padding + fixtures::PRODUCT_JSON.len());
    assert!(json::from_slice::<Product<'_>>(&answer.body).is_ok());
}
