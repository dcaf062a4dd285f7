//! The process: its drain, its log and its threads.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use schema::{env, fixtures};
use serve::Background;
use testbed::child::Service;
use testbed::raw::Connection;

use crate::suite::{
    Profile, answers, ask_all, authorization, each_profile, free_port, get, get_me, movie,
    post_movie, request, start_upstream,
};

/// Longer than the drain of the target.
const DRAINED: Duration = Duration::from_secs(30);

/// Starts a target and its upstream, which has this fault.
fn start(profile: Profile, fault: &str) -> (Service, Background) {
    let upstream = start_upstream(0);
    let url = format!("http://{}/faults/{fault}", upstream.address());
    (profile.start_process(&url), upstream)
}

fn connections(target: &Service, count: usize) -> Vec<Connection> {
    let connections = (0..count).map(|_| Connection::open(target.address()));
    connections.map(Result::unwrap).collect()
}

#[track_caller]
fn assert_drained(target: &mut Service) {
    assert_eq!(target.wait_within(DRAINED).unwrap().code(), Some(0));
}

#[test]
fn requests_in_flight_at_sigterm_are_answered() {
    each_profile(|profile| {
        let (mut target, _upstream) = start(profile, "delay-700");
        let mut calls = connections(&target, 50);
        for connection in &mut calls {
            connection.send(get("/catalog")).unwrap();
        }
        let [mut upload] = connections(&target, 1).try_into().ok().unwrap();
        let whole = post_movie(&[], movie());
        let (sent, rest) = whole.split_at(whole.len() - 5);
        upload.send(sent).unwrap();
        sleep(Duration::from_millis(200));
        target.signal(Signal::TERM).unwrap();
        sleep(Duration::from_millis(200));
        assert_eq!(upload.ask(rest).unwrap().status, 201);
        for answer in answers(&mut calls) {
            assert_eq!(answer.text(), fixtures::PRODUCT_JSON);
            assert_eq!(answer.header("connection"), Some("close"));
        }
        assert_drained(&mut target);
    });
}

#[test]
fn requests_sent_together_with_sigterm_are_answered() {
    each_profile(|profile| {
        for _ in 0..5 {
            let (mut target, _upstream) = start(profile, "delay-1");
            let mut connections = connections(&target, 20);
            for connection in &mut connections {
                connection.send(get("/info")).unwrap();
            }
            target.signal(Signal::TERM).unwrap();
            for answer in answers(&mut connections) {
                assert_eq!(answer.status, 200);
            }
            assert_drained(&mut target);
        }
    });
}

#[test]
fn log_has_the_cause_of_a_5xx_once_and_no_secret() {
    each_profile(|profile| {
        let (mut target, _upstream) = start(profile, "status-500");
        let token = authorization(&fixtures::claims());
        let mut connection = Connection::open(target.address()).unwrap();
        for path in ["/catalog", "/users/me", "/nowhere"] {
            let answer = connection.ask(request("GET", path, &[&token], "")).unwrap();
            assert!(!answer.text().contains("500"), "{}", answer.text());
        }
        target.signal(Signal::TERM).unwrap();
        target.wait_within(DRAINED).unwrap();
        let log = target.rest_of_log().unwrap();
        assert!(log.contains("has stopped"), "not the whole log: {log}");
        let causes = log.matches("the upstream answered 500");
        assert_eq!(causes.count(), 1, "{log}");
        let (_, token) = token.split_once("Bearer ").unwrap();
        for secret in [
            env::bench_value(&env::JWT_SECRET),
            env::bench_value(&env::UPSTREAM_API_KEY),
            token,
        ] {
            assert!(!log.contains(secret), "{log}");
        }
    });
}

#[test]
fn log_has_the_cause_of_a_refused_database_connection() {
    each_profile(|profile| {
        let port = free_port().to_string();
        let mut target = profile.start_process_with("http://127.0.0.1:1", &[("DB_PORT", &port)]);
        let mut connection = Connection::open(target.address()).unwrap();
        assert_eq!(connection.ask(get_me()).unwrap().status, 503);
        target.signal(Signal::TERM).unwrap();
        target.wait_within(DRAINED).unwrap();
        let log = target.rest_of_log().unwrap();
        assert!(log.contains("Connection refused"), "{log}");
    });
}

#[test]
fn repeated_cause_is_logged_once_a_second_with_its_count() {
    each_profile(|profile| {
        let (mut target, _upstream) = start(profile, "status-500");
        let mut connection = Connection::open(target.address()).unwrap();
        let begun = Instant::now();
        for _ in 0..100 {
            assert_eq!(connection.ask(get("/catalog")).unwrap().status, 502);
        }
        let seconds = begun.elapsed().as_secs();
        target.signal(Signal::TERM).unwrap();
        target.wait_within(DRAINED).unwrap();
        let log = target.rest_of_log().unwrap();
        let lines = log.lines().filter(|line| line.contains("answered 500"));
        let counts = lines.map(|line| match line.split_once(" repeated=") {
            Some((_, count)) => count.parse().unwrap(),
            None => 1,
        });
        let counts: Vec<u64> = counts.collect();
        assert_eq!(counts.iter().sum::<u64>(), 100, "{log}");
        assert!(counts.len() as u64 <= 2 + seconds, "{log}");
    });
}

#[test]
fn log_that_nobody_reads_blocks_no_request_and_is_reported_when_it_is_read() {
    each_profile(|profile| {
        let (mut target, _upstream) = start(profile, "status-500");
        let filled = target.fill_log().unwrap();
        let mut connection = Connection::open(target.address()).unwrap();
        for (path, status) in [("/catalog", 502), ("/info", 200), ("/health", 200)] {
            assert_eq!(connection.ask(get(path)).unwrap().status, status, "{path}");
        }
        target.read_log(filled).unwrap();
        target.signal(Signal::TERM).unwrap();
        assert_drained(&mut target);
        let log = target.rest_of_log().unwrap();
        assert!(log.contains("1 lines were dropped"), "{log}");
    });
}

#[test]
fn one_worker_is_one_thread() {
    each_profile(|profile| {
        let (target, _upstream) = start(profile, "delay-0");
        for asked in [get("/catalog"), get_me()] {
            for answer in ask_all(&mut connections(&target, 1), &asked) {
                assert_eq!(answer.status, 200, "{}", answer.text());
            }
        }
        let threads = fs::read_dir(format!("/proc/{}/task", target.pid().as_raw_nonzero()));
        assert_eq!(threads.unwrap().count(), 1);
    });
}
