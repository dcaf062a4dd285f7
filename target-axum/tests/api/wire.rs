//! HTTP/1.1 as it is on the wire.

use std::time::{Duration, Instant};

use schema::limits::{REQUEST_BODY_MAX_BYTES, REQUEST_BODY_TIMEOUT};
use schema::{ErrorCode, fixtures};

use crate::suite::{JSON, Target, assert_error, authorization, body, request};

fn movie() -> String {
    serde_json::to_string(&fixtures::new_movie()).unwrap()
}

/// The head of `POST /movies` with a token and these header lines.
fn post(headers: &[&str]) -> String {
    let token = authorization(&fixtures::claims());
    request("POST", "/movies", &[&[&*token, JSON], headers].concat(), "")
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let target = Target::start();
    let token = authorization(&fixtures::claims());
    let me = request("GET", "/users/me", &[&token], "");
    let post = request("POST", "/movies", &[&token, JSON], &movie());
    let catalog = request("GET", "/catalog", &[], "");
    let unknown = request("GET", "/unknown", &[], "");
    let mut connection = target.connect();
    connection
        .send([&*me, &post, &unknown, &catalog, &me].concat())
        .unwrap();
    let profile = serde_json::to_string(&fixtures::profile()).unwrap();
    assert_eq!(connection.answer().unwrap().text(), profile);
    assert_eq!(connection.answer().unwrap().status, 201);
    assert_error(&connection.answer().unwrap(), ErrorCode::NotFound);
    assert_eq!(connection.answer().unwrap().text(), fixtures::PRODUCT_JSON);
    assert_eq!(connection.answer().unwrap().text(), profile);
}

#[test]
fn a_request_may_arrive_split_anywhere() {
    let target = Target::start();
    let token = authorization(&fixtures::claims());
    let whole = request("POST", "/movies", &[&token, JSON], &movie());
    let mut connection = target.connect();
    for split in 1..whole.len() {
        connection.send(&whole[..split]).unwrap();
        std::thread::sleep(Duration::from_micros(200));
        let answer = connection.ask(&whole[split..]).unwrap();
        assert_eq!(answer.status, 201, "split at {split}");
    }
}

#[test]
fn a_body_may_arrive_a_byte_at_a_time() {
    let target = Target::start();
    let mut connection = target.connect();
    let movie = movie();
    let length = format!("content-length: {}", movie.len());
    connection.send(post(&[&length])).unwrap();
    for byte in movie.as_bytes() {
        connection.send([*byte]).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(connection.answer().unwrap().status, 201);
}

#[test]
fn a_body_may_arrive_in_chunks() {
    let target = Target::start();
    let mut connection = target.connect();
    connection
        .send(post(&["transfer-encoding: chunked"]))
        .unwrap();
    for part in movie().as_bytes().chunks(7) {
        connection.send(format!("{:x}\r\n", part.len())).unwrap();
        connection.send(part).unwrap();
        connection.send("\r\n").unwrap();
    }
    let answer = connection.ask("0\r\n\r\n").unwrap();
    assert_eq!(answer.status, 201);
    assert_eq!(body(&answer)["title"], fixtures::new_movie().title.as_ref());
    assert_eq!(
        connection
            .ask(request("GET", "/info", &[], ""))
            .unwrap()
            .status,
        200
    );
}

#[test]
fn chunks_beyond_the_limit_are_too_large() {
    let target = Target::start();
    let mut connection = target.connect();
    connection
        .send(post(&["transfer-encoding: chunked"]))
        .unwrap();
    let chunk = format!("4000\r\n{}\r\n", " ".repeat(0x4000));
    for _ in 0..=REQUEST_BODY_MAX_BYTES / 0x4000 {
        connection.send(&chunk).unwrap();
    }
    assert_error(&connection.answer().unwrap(), ErrorCode::BodyTooLarge);
}

#[test]
fn broken_chunks_are_a_malformed_body() {
    let target = Target::start();
    let mut connection = target.connect();
    connection
        .send(post(&["transfer-encoding: chunked"]))
        .unwrap();
    connection.send("nonsense\r\n").unwrap();
    assert_error(&connection.answer().unwrap(), ErrorCode::MalformedBody);
}

#[test]
fn expect_100_continue_is_answered_when_the_body_is_wanted() {
    let target = Target::start();
    let movie = movie();
    let length = format!("content-length: {}", movie.len());
    let mut connection = target.connect();
    connection
        .send(post(&["expect: 100-continue", &length]))
        .unwrap();
    assert_eq!(connection.answer().unwrap().status, 100);
    assert_eq!(connection.ask(&movie).unwrap().status, 201);
}

#[test]
fn expect_100_continue_is_not_answered_when_the_body_is_refused_unread() {
    let target = Target::start();
    let length = format!("content-length: {}", REQUEST_BODY_MAX_BYTES + 1);
    let expect = "expect: 100-continue";
    let mut connection = target.connect();
    let answer = connection.ask(post(&[expect, &length])).unwrap();
    assert_error(&answer, ErrorCode::BodyTooLarge);
    let mut connection = target.connect();
    let answer = connection
        .ask(request("POST", "/movies", &[JSON, expect, &length], ""))
        .unwrap();
    assert_error(&answer, ErrorCode::InvalidToken);
}

#[test]
fn the_refusal_of_a_body_that_is_still_being_sent_is_not_lost() {
    let target = Target::start();
    let megabyte = " ".repeat(1024 * 1024);
    let length = format!("content-length: {}", 4 * megabyte.len());
    let unauthorised = request("POST", "/movies", &[JSON, &length], "");
    for (head, code) in [
        (post(&[&length]), ErrorCode::BodyTooLarge),
        (unauthorised, ErrorCode::InvalidToken),
    ] {
        let mut connection = target.connect();
        connection.send(head).unwrap();
        for _ in 0..4 {
            // The server may have closed before the last of it.
            if connection.send(&megabyte).is_err() {
                break;
            }
        }
        assert_error(&connection.answer().unwrap(), code);
    }
}

#[test]
fn a_body_that_does_not_arrive_in_time_is_a_request_timeout() {
    let target = Target::start();
    let mut connection = target.connect();
    connection.send(post(&["content-length: 100"])).unwrap();
    let asked = Instant::now();
    assert_error(&connection.answer().unwrap(), ErrorCode::RequestTimeout);
    assert!(asked.elapsed() >= REQUEST_BODY_TIMEOUT);
}

#[test]
fn a_body_cut_short_disturbs_nobody() {
    let target = Target::start();
    let mut connection = target.connect();
    connection.send(post(&["content-length: 100"])).unwrap();
    connection.finish_sending().unwrap();
    drop(connection);
    assert_eq!(target.get("/info").status, 200);
}

#[test]
fn a_body_on_get_is_ignored() {
    let target = Target::start();
    let mut connection = target.connect();
    let answer = connection
        .ask(request("GET", "/info", &[], "ignored"))
        .unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(
        connection
            .ask(request("GET", "/info", &[], ""))
            .unwrap()
            .status,
        200
    );
}

#[test]
fn http_1_0_is_answered_and_closed() {
    let target = Target::start();
    let mut connection = target.connect();
    assert_eq!(
        connection.ask("GET /info HTTP/1.0\r\n\r\n").unwrap().status,
        200
    );
    assert!(connection.closed().unwrap());
}

#[test]
fn what_is_not_http_is_a_bad_request() {
    let target = Target::start();
    for nonsense in [
        "nonsense\r\n\r\n",
        "GET /info HTTP/1.1\r\nbad header\r\n\r\n",
        "GET /info HTTP/3\r\n\r\n",
    ] {
        let mut connection = target.connect();
        assert_eq!(connection.ask(nonsense).unwrap().status, 400, "{nonsense}");
    }
}

#[test]
fn a_request_head_beyond_the_limit_is_refused() {
    let target = Target::start();
    let long = format!("x-long: {}", "x".repeat(20 * 1024));
    let answer = target.ask(request("GET", "/info", &[&long], ""));
    assert_eq!(answer.status, 431);
    let many = vec!["x-many: x"; 200];
    let answer = target.ask(request("GET", "/info", &many, ""));
    assert_eq!(answer.status, 431);
}
