//! The executable: its environment, its arguments, and its signals.

use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use schema::env;
use schema::fixtures;
use schema::limits::{CONNECTIONS_MAX, SERVICE_MEMORY_MIB};
use testbed::child::{Service, refusal};
use testbed::raw::Connection;

use crate::request;

/// Longer than the drain.
const END: Duration = Duration::from_secs(20);

/// Time for the process to read a request or a signal.
const SETTLE: Duration = Duration::from_millis(100);

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_upstream"));
    command.env_clear().envs(env::bench()).env("PORT", "0");
    command
}

fn start() -> Service {
    let mut command = Command::new(env!("CARGO_BIN_EXE_upstream"));
    Service::start(command.env("UPSTREAM_FAULTS", "1")).unwrap()
}

/// Sends a request that is answered after `fault`.
fn send(service: &Service, fault: &str) -> Connection {
    let mut connection = Connection::open(service.address()).unwrap();
    let path = format!("/faults/{fault}/data");
    connection.send(request("GET", &path)).unwrap();
    sleep(SETTLE);
    connection
}

#[test]
fn missing_empty_or_invalid_variables_are_refused_with_one_line() {
    let variables = env::ALL
        .iter()
        .filter(|variable| variable.read_by.contains(&env::Service::Upstream));
    let mut checked = 0;
    for variable in variables {
        let (name, invalid) = (variable.name, "not valid");
        let mut lines = vec![
            refusal(command().env(name, "")).unwrap(),
            refusal(command().env(name, invalid)).unwrap(),
        ];
        if variable.default.is_none() {
            lines.push(refusal(command().env_remove(name)).unwrap());
        }
        for line in lines {
            assert!(line.starts_with(&format!("upstream: {name} ")), "{line}");
            assert!(!line.contains(invalid), "{line}");
        }
        checked += 1;
    }
    assert_eq!(checked, 5);
}

#[test]
fn port_in_use_and_unknown_argument_are_refused_with_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let line = refusal(command().env("PORT", &port)).unwrap();
    let reason = format!("cannot listen on 0.0.0.0:{port}");
    assert!(line.contains(&reason), "{line}");
    let line = refusal(command().arg("--help")).unwrap();
    assert!(line.contains("`probe`"), "{line}");
}

#[test]
fn stop_signal_closes_idle_connections_and_answers_requests_in_flight() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut service = start();
        let mut fresh = Connection::open(service.address()).unwrap();
        let mut idle = Connection::open(service.address()).unwrap();
        idle.ask(request("GET", "/health")).unwrap();
        let mut busy = send(&service, "delay-1500");
        service.signal(signal).unwrap();
        let signalled = Instant::now();
        assert!(idle.closed().unwrap());
        assert!(fresh.closed().unwrap());
        assert!(signalled.elapsed() < Duration::from_secs(1));
        assert!(Connection::open(service.address()).is_err());
        let answer = busy.answer().unwrap();
        assert_eq!(answer.text(), fixtures::PRODUCT_JSON);
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(service.wait_within(END).unwrap().code(), Some(0));
    }
}

#[test]
fn second_signal_ends_the_process_at_once() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut service = start();
        let _hanging = send(&service, "hang");
        service.signal(Signal::TERM).unwrap();
        sleep(2 * SETTLE);
        assert!(service.is_running().unwrap(), "the process drains");
        service.signal(signal).unwrap();
        assert_eq!(service.wait_within(END).unwrap().code(), Some(code));
    }
}

#[test]
fn log_that_nobody_reads_delays_neither_answers_nor_the_drain() {
    let mut service = start();
    let mut busy = send(&service, "delay-500");
    service.fill_log().unwrap();
    service.signal(Signal::TERM).unwrap();
    assert_eq!(busy.answer().unwrap().status, 200);
    assert_eq!(service.wait_within(END).unwrap().code(), Some(0));
}

#[test]
fn low_limit_of_open_files_leaves_half_of_them_for_connections() {
    let mut limited = Command::new("/bin/sh");
    let program = env!("CARGO_BIN_EXE_upstream");
    limited.args(["-c", "ulimit -n 100; exec \"$0\"", program]);
    let mut service = Service::start(&mut limited).unwrap();
    let mut connections = [(); 45].map(|()| Connection::open(service.address()).unwrap());
    for connection in &mut connections {
        let answer = connection.ask(request("GET", "/health")).unwrap();
        assert_eq!(answer.status, 200);
    }
    service.signal(Signal::TERM).unwrap();
    service.wait_within(END).unwrap();
    let log = service.rest_of_log().unwrap();
    assert!(log.contains("the limit of open files is low"), "{log}");
}

#[test]
fn memory_of_unfinished_heads_fits_the_manifests_and_is_given_back() {
    const SAMPLE: u64 = 400;
    const GIVEN_BACK: Duration = Duration::from_secs(30);
    let service = start();
    let resident = || {
        let path = format!("/proc/{}/statm", service.pid());
        let statm = fs::read_to_string(path).unwrap();
        let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
        pages * rustix::param::page_size() as u64
    };
    let ask = || {
        Connection::open(service.address())
            .unwrap()
            .ask(request("GET", "/health"))
    };
    ask().unwrap();
    let before = resident();
    let head = format!(
        "GET /health HTTP/1.1\r\nhost: a\r\nx: {}",
        "x".repeat(16_000)
    );
    let unfinished = (0..SAMPLE).map(|_| {
        let mut connection = Connection::open(service.address()).unwrap();
        connection.send(&head).unwrap();
        connection
    });
    let unfinished: Vec<_> = unfinished.collect();
    // By then the heads that arrived before have been read.
    ask().unwrap();
    let each = (resident() - before) / SAMPLE;
    assert!(each > 16_000, "the heads were not read: {each}");
    let all = before + each * CONNECTIONS_MAX;
    assert!(
        all < SERVICE_MEMORY_MIB << 20,
        "{all}, {each} for each connection"
    );
    drop(unfinished);
    let end = Instant::now() + GIVEN_BACK;
    while resident() > before + each * SAMPLE / 4 {
        assert!(Instant::now() < end, "{} of {before}", resident());
        sleep(SETTLE);
    }
}
