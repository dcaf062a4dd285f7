//! The process under the signals of an operator.

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use schema::fixtures;
use testbed::child::Service;
use testbed::raw::Connection;

use crate::{bearer, request};

/// Longer than the upstream's drain.
const END: Duration = Duration::from_secs(20);

fn start() -> Service {
    let mut command = Command::new(env!("CARGO_BIN_EXE_upstream"));
    Service::start(command.env("UPSTREAM_FAULTS", "1")).unwrap()
}

#[test]
fn a_request_in_flight_at_sigterm_is_answered_and_the_exit_code_is_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut process = start();
        let mut connection = Connection::open(process.address()).unwrap();
        connection
            .send(request("GET", "/faults/delay-500/data", &[&bearer()]))
            .unwrap();
        std::thread::sleep(Duration::from_millis(100));
        process.signal(signal).unwrap();
        let answer = connection.answer().unwrap();
        assert_eq!(answer.text(), fixtures::PRODUCT_JSON);
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(process.wait_within(END).unwrap().code(), Some(0));
    }
}

#[test]
fn an_idle_connection_is_closed_at_once() {
    let mut process = start();
    let mut fresh = Connection::open(process.address()).unwrap();
    let mut idle = Connection::open(process.address()).unwrap();
    idle.ask(request("GET", "/health", &[])).unwrap();
    let mut busy = Connection::open(process.address()).unwrap();
    busy.send(request("GET", "/faults/delay-1500/data", &[&bearer()]))
        .unwrap();
    std::thread::sleep(Duration::from_millis(100));
    process.signal(Signal::TERM).unwrap();
    let signalled = Instant::now();
    assert!(idle.closed().unwrap());
    assert!(fresh.closed().unwrap());
    assert!(
        signalled.elapsed() < Duration::from_secs(1),
        "before the request in flight is done"
    );
    assert_eq!(busy.answer().unwrap().status, 200);
    assert_eq!(process.wait_within(END).unwrap().code(), Some(0));
}

#[test]
fn new_connections_are_refused_during_the_drain() {
    let process = start();
    let mut busy = Connection::open(process.address()).unwrap();
    busy.send(request("GET", "/faults/delay-1000/data", &[&bearer()]))
        .unwrap();
    std::thread::sleep(Duration::from_millis(100));
    process.signal(Signal::TERM).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(Connection::open(process.address()).is_err());
    assert_eq!(busy.answer().unwrap().status, 200);
}

#[test]
fn a_second_signal_ends_now() {
    let mut process = start();
    let mut hanging = Connection::open(process.address()).unwrap();
    hanging
        .send(request("GET", "/faults/hang/data", &[&bearer()]))
        .unwrap();
    std::thread::sleep(Duration::from_millis(100));
    process.signal(Signal::TERM).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    assert!(process.is_running().unwrap(), "it drains");
    process.signal(Signal::INT).unwrap();
    assert_eq!(process.wait_within(END).unwrap().code(), Some(130));
}
