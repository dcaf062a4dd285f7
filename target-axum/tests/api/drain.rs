//! The process under the signals of an operator, its log, and its threads.

use std::fs;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use schema::{env, fixtures};
use testbed::child::Service;
use testbed::raw::Connection;

use crate::suite::{authorization, postgres_port, request, start_upstream};

/// Longer than the target's drain.
const END: Duration = Duration::from_secs(30);

fn start(fault: &str, upstream: std::net::SocketAddr) -> Service {
    let mut command = Command::new(env!("CARGO_BIN_EXE_target-axum"));
    command
        .env("PROFILE", crate::CLIENTS)
        .env("UPSTREAM_URL", format!("http://{upstream}/faults/{fault}"))
        .env("DB_HOST", "127.0.0.1")
        .env("DB_PORT", postgres_port().to_string());
    Service::start(&mut command).unwrap()
}

#[test]
fn requests_in_flight_when_sigterm_arrives_all_finish() {
    let upstream = start_upstream(0);
    let mut target = start("delay-700", upstream.address());
    let mut connections: Vec<_> = (0..50)
        .map(|_| Connection::open(target.address()).unwrap())
        .collect();
    for connection in &mut connections {
        connection
            .send(request("GET", "/catalog", &[], ""))
            .unwrap();
    }
    std::thread::sleep(Duration::from_millis(100));
    target.signal(Signal::TERM).unwrap();
    for connection in &mut connections {
        let answer = connection.answer().unwrap();
        assert_eq!(answer.text(), fixtures::PRODUCT_JSON);
        assert_eq!(answer.header("connection"), Some("close"));
    }
    assert_eq!(target.wait_within(END).unwrap().code(), Some(0));
}

#[test]
fn a_request_sent_together_with_the_signal_is_answered() {
    let upstream = start_upstream(0);
    for _ in 0..10 {
        let mut target = start("delay-1", upstream.address());
        let mut connections: Vec<_> = (0..20)
            .map(|_| Connection::open(target.address()).unwrap())
            .collect();
        for connection in &mut connections {
            connection.send(request("GET", "/info", &[], "")).unwrap();
        }
        target.signal(Signal::TERM).unwrap();
        for connection in &mut connections {
            assert_eq!(connection.answer().unwrap().status, 200);
        }
        assert_eq!(target.wait_within(END).unwrap().code(), Some(0));
    }
}

#[test]
fn a_body_still_arriving_at_sigterm_is_waited_for() {
    let upstream = start_upstream(0);
    let mut target = start("delay-1", upstream.address());
    let movie = serde_json::to_string(&fixtures::new_movie()).unwrap();
    let headers = [&*authorization(&fixtures::claims()), crate::suite::JSON];
    let whole = request("POST", "/movies", &headers, &movie);
    let mut connection = Connection::open(target.address()).unwrap();
    connection.send(&whole[..whole.len() - 5]).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    target.signal(Signal::TERM).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let answer = connection.ask(&whole[whole.len() - 5..]).unwrap();
    assert_eq!(answer.status, 201);
    assert_eq!(target.wait_within(END).unwrap().code(), Some(0));
}

#[test]
fn the_cause_of_a_5xx_is_logged_once_and_never_sent() {
    let upstream = start_upstream(0);
    let mut target = start("status-500", upstream.address());
    let mut connection = Connection::open(target.address()).unwrap();
    let answer = connection.ask(request("GET", "/catalog", &[], "")).unwrap();
    assert!(!answer.text().contains("500"));
    target.signal(Signal::TERM).unwrap();
    target.wait_within(END).unwrap();
    let log = target.rest_of_log().unwrap();
    let causes = log.matches("the upstream answered 500");
    assert_eq!(causes.count(), 1, "{log}");
}

#[test]
fn no_secret_is_ever_logged() {
    let upstream = start_upstream(0);
    let mut target = start("reset", upstream.address());
    let mut connection = Connection::open(target.address()).unwrap();
    let token = authorization(&fixtures::claims());
    for path in ["/catalog", "/users/me", "/ready", "/nowhere"] {
        connection.ask(request("GET", path, &[&token], "")).unwrap();
    }
    target.signal(Signal::TERM).unwrap();
    target.wait_within(END).unwrap();
    let log = target.rest_of_log().unwrap();
    assert!(log.contains("has stopped"), "the whole log was read: {log}");
    let (_, token) = token.split_once("Bearer ").unwrap();
    let secrets = [
        env::bench_value(&env::JWT_SECRET),
        env::bench_value(&env::UPSTREAM_API_KEY),
        token,
    ];
    for secret in secrets {
        assert!(!log.contains(secret));
    }
}

#[test]
fn one_worker_is_one_thread() {
    let upstream = start_upstream(0);
    let target = start("delay-0", upstream.address());
    let mut connection = Connection::open(target.address()).unwrap();
    let token = authorization(&fixtures::claims());
    for path in ["/catalog", "/users/me"] {
        let answer = connection.ask(request("GET", path, &[&token], "")).unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    let threads = fs::read_dir(format!("/proc/{}/task", target.pid().as_raw_nonzero()));
    assert_eq!(threads.unwrap().count(), 1);
}
