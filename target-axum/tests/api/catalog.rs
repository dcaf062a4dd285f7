//! `GET /catalog`: the product, and every fault of the upstream.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant};

use schema::limits::{UPSTREAM_CALL_TIMEOUT, UPSTREAM_CONNECT_TIMEOUT};
use schema::{ErrorCode, fixtures};
use socket2::{Domain, Socket, Type};
use testbed::child::Service;
use testbed::raw::Connection;

use crate::suite::{Target, assert_error, free_port, request, start_upstream};

/// What a deadline may be late on a busy machine.
const LATE: Duration = Duration::from_secs(3);

#[test]
fn answers_the_upstream_s_product_under_both_paths() {
    let target = Target::start();
    for path in ["/catalog", "/proxy"] {
        let answer = target.get(path);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.text(), fixtures::PRODUCT_JSON);
    }
}

/// The answer of a target whose upstream shows a fault, and how long it took.
fn with_fault(fault: &str) -> (testbed::raw::Answer, Duration) {
    let upstream = start_upstream(0);
    let url = format!("http://{}/faults/{fault}", upstream.address());
    let target = Target::with(&[("UPSTREAM_URL", &url)]);
    let asked = Instant::now();
    (target.get("/catalog"), asked.elapsed())
}

#[test]
fn an_upstream_that_misbehaves_is_unavailable() {
    for fault in [
        "status-201",
        "status-204",
        "status-301",
        "status-401",
        "status-404",
        "status-500",
        "status-503",
        "reset",
        "truncate",
        "malformed",
        "wrong-shape",
        "redirect",
        "huge",
    ] {
        let (answer, elapsed) = with_fault(fault);
        assert_error(&answer, ErrorCode::UpstreamUnavailable);
        assert!(elapsed < UPSTREAM_CALL_TIMEOUT, "{fault} took {elapsed:?}");
    }
}

#[test]
fn an_upstream_slower_than_the_deadline_of_a_call_is_a_timeout() {
    std::thread::scope(|scope| {
        for fault in ["hang", "trickle", "delay-6000"] {
            scope.spawn(move || {
                let (answer, elapsed) = with_fault(fault);
                assert_error(&answer, ErrorCode::UpstreamTimeout);
                assert!(elapsed >= UPSTREAM_CALL_TIMEOUT, "{fault} took {elapsed:?}");
                assert!(
                    elapsed < UPSTREAM_CALL_TIMEOUT + LATE,
                    "{fault} took {elapsed:?}"
                );
            });
        }
    });
}

#[test]
fn a_slow_upstream_within_the_deadline_is_waited_for() {
    let (answer, elapsed) = with_fault("delay-300");
    assert_eq!(answer.text(), fixtures::PRODUCT_JSON);
    assert!(elapsed >= Duration::from_millis(300));
}

#[test]
fn an_upstream_that_does_not_accept_in_time_is_a_timeout() {
    // A listener whose backlog is full lets further connections wait.
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener
        .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
        .unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let waiting: Vec<_> = (0..8)
        .map(|_| {
            let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            client.set_nonblocking(true).unwrap();
            // In progress at first, whether or not it is ever accepted.
            let _ = client.connect(&address);
            client
        })
        .collect();
    let url = format!("http://{}", address.as_socket().unwrap());
    let target = Target::with(&[("UPSTREAM_URL", &url)]);
    let asked = Instant::now();
    assert_error(&target.get("/catalog"), ErrorCode::UpstreamTimeout);
    let elapsed = asked.elapsed();
    assert!(elapsed >= UPSTREAM_CONNECT_TIMEOUT, "{elapsed:?}");
    assert!(elapsed < UPSTREAM_CALL_TIMEOUT, "{elapsed:?}");
    drop(waiting);
}

#[test]
fn a_key_that_the_upstream_refuses_is_its_unavailability() {
    let target = Target::with(&[("UPSTREAM_API_KEY", "wrong")]);
    assert_error(&target.get("/catalog"), ErrorCode::UpstreamUnavailable);
}

#[test]
fn a_stopped_upstream_is_unavailable_and_one_that_comes_back_is_used_again() {
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let target = Target::with(&[("UPSTREAM_URL", &url)]);
    assert_error(&target.get("/catalog"), ErrorCode::UpstreamUnavailable);
    assert_eq!(target.get("/info").status, 200);
    for _ in 0..2 {
        let upstream = start_upstream(port);
        for _ in 0..3 {
            assert_eq!(target.get("/catalog").text(), fixtures::PRODUCT_JSON);
        }
        upstream.stop().unwrap();
        assert_error(&target.get("/catalog"), ErrorCode::UpstreamUnavailable);
    }
}

#[test]
fn hanging_calls_take_no_other_endpoint_down() {
    let upstream = start_upstream(0);
    let url = format!("http://{}/faults/hang", upstream.address());
    let target = Target::with(&[("UPSTREAM_URL", &url)]);
    let mut hanging: Vec<Connection> = (0..100).map(|_| target.connect()).collect();
    for connection in &mut hanging {
        connection
            .send(request("GET", "/catalog", &[], ""))
            .unwrap();
    }
    assert_eq!(target.get("/info").status, 200);
    // The deadline covers the wait for a free connection: all time out together.
    let asked = Instant::now();
    for connection in &mut hanging {
        assert_error(&connection.answer().unwrap(), ErrorCode::UpstreamTimeout);
    }
    assert!(asked.elapsed() < UPSTREAM_CALL_TIMEOUT + LATE);
}

#[test]
fn a_proxy_in_the_environment_is_not_used() {
    let upstream = start_upstream(0);
    let mut command = Command::new(env!("CARGO_BIN_EXE_target-axum"));
    let nobody = format!("http://127.0.0.1:{}", free_port());
    command
        .env("PROFILE", crate::CLIENTS)
        .env("UPSTREAM_URL", format!("http://{}", upstream.address()))
        .envs(["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"].map(|name| (name, &nobody)));
    let target = Service::start(&mut command).unwrap();
    let mut connection = Connection::open(target.address()).unwrap();
    let answer = connection.ask(request("GET", "/catalog", &[], "")).unwrap();
    assert_eq!(answer.text(), fixtures::PRODUCT_JSON);
}
