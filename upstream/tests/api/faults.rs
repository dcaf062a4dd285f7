//! One test per row of the contract's list of faults.

use std::time::{Duration, Instant};

use schema::fault::Fault;
use schema::limits::UPSTREAM_BODY_MAX_BYTES;
use schema::{ErrorCode, Product, fixtures, json};
use testbed::raw::Connection;

use crate::{Upstream, bearer, request};

#[test]
fn faults_are_not_served_unless_asked_for() {
    let upstream = Upstream::with_faults("0");
    for name in Fault::NAMES {
        let name = name.replace("<code>", "500").replace("<ms>", "1");
        let answer = upstream
            .ask("GET", &format!("/faults/{name}/data"))
            .unwrap();
        assert_eq!(answer.status, ErrorCode::NotFound.status(), "{name}");
    }
}

#[test]
fn status_is_the_product_under_that_status() {
    let upstream = Upstream::start();
    for status in [200, 201, 401, 404, 418, 500, 503, 599] {
        let answer = upstream
            .ask("GET", &format!("/faults/status-{status}/data"))
            .unwrap();
        assert_eq!(answer.status, status);
        assert_eq!(answer.text(), fixtures::PRODUCT_JSON);
    }
}

#[test]
fn a_status_without_a_body_leaves_the_connection_usable() {
    let upstream = Upstream::start();
    for status in [204, 304] {
        let mut connection = Connection::open(upstream.address()).unwrap();
        let path = format!("/faults/status-{status}/data");
        connection
            .send(request("GET", &path, &[&bearer()]))
            .unwrap();
        assert_eq!(connection.head().unwrap().status, status);
        let next = connection.ask(request("GET", "/health", &[])).unwrap();
        assert_eq!(next.text(), "ok");
    }
}

#[test]
fn delay_is_the_product_after_that_time() {
    let upstream = Upstream::start();
    let asked = Instant::now();
    let answer = upstream.ask("GET", "/faults/delay-200/data").unwrap();
    assert!(asked.elapsed() >= Duration::from_millis(200));
    assert_eq!(answer.text(), fixtures::PRODUCT_JSON);
}

#[test]
fn hang_never_answers_and_holds_up_nobody_else() {
    let upstream = Upstream::start();
    let mut hanging = Connection::open(upstream.address()).unwrap();
    hanging
        .send(request("GET", "/faults/hang/data", &[&bearer()]))
        .unwrap();
    assert_eq!(upstream.ask("GET", "/data").unwrap().status, 200);
    assert!(!hanging.readable_within(Duration::from_millis(300)).unwrap());
}

#[test]
fn reset_resets_the_connection_without_an_answer() {
    let upstream = Upstream::start();
    let mut connection = Connection::open(upstream.address()).unwrap();
    connection
        .send(request("GET", "/faults/reset/data", &[&bearer()]))
        .unwrap();
    assert!(!connection.closed().unwrap());
}

#[test]
fn truncate_ends_in_the_middle_of_the_announced_body() {
    let upstream = Upstream::start();
    let mut connection = Connection::open(upstream.address()).unwrap();
    connection
        .send(request("GET", "/faults/truncate/data", &[&bearer()]))
        .unwrap();
    let head = connection.head().unwrap();
    let length = fixtures::PRODUCT_JSON.len();
    assert_eq!(
        head.header("content-length"),
        Some(length.to_string().as_str())
    );
    let body = connection.rest().unwrap();
    assert_eq!(body, fixtures::PRODUCT_JSON.as_bytes()[..length / 2]);
}

#[test]
fn trickle_sends_one_byte_at_a_time() {
    let upstream = Upstream::start();
    let mut connection = Connection::open(upstream.address()).unwrap();
    connection
        .send(request("GET", "/faults/trickle/data", &[&bearer()]))
        .unwrap();
    assert_eq!(connection.head().unwrap().status, 200);
    let began = Instant::now();
    for expected in ["1\r\n{\r\n", "1\r\n\"\r\n", "1\r\ni\r\n"] {
        assert_eq!(connection.take(6).unwrap(), expected.as_bytes());
    }
    assert!(
        began.elapsed() >= Duration::from_millis(150),
        "paused between bytes"
    );
}

#[test]
fn malformed_is_no_json() {
    let answer = Upstream::start()
        .ask("GET", "/faults/malformed/data")
        .unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(
        json::from_slice::<Product<'_>>(&answer.body),
        Err(json::Rejection::Malformed)
    );
}

#[test]
fn wrong_shape_is_json_but_no_product() {
    let answer = Upstream::start()
        .ask("GET", "/faults/wrong-shape/data")
        .unwrap();
    assert_eq!(answer.status, 200);
    let refusal = json::from_slice::<Product<'_>>(&answer.body).unwrap_err();
    assert!(matches!(refusal, json::Rejection::Invalid { .. }));
}

#[test]
fn redirect_points_to_the_real_product() {
    let upstream = Upstream::start();
    let answer = upstream.ask("GET", "/faults/redirect/data").unwrap();
    assert_eq!(answer.status, 302);
    let location = answer.header("location").unwrap();
    let followed = upstream.ask("GET", location).unwrap();
    assert_eq!(followed.text(), fixtures::PRODUCT_JSON);
}

#[test]
fn huge_is_a_valid_product_longer_than_a_target_may_take() {
    let answer = Upstream::start().ask("GET", "/faults/huge/data").unwrap();
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    let padding = 2 * UPSTREAM_BODY_MAX_BYTES;
    assert_eq!(answer.body.len(), padding + fixtures::PRODUCT_JSON.len());
    assert!(json::from_slice::<Product<'_>>(&answer.body).is_ok());
}
