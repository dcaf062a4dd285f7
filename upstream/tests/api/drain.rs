//! The process under the signals of an operator.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use harness::raw::Connection;
use rustix::process::{Pid, Signal, kill_process};
use schema::{env, fixtures};

use crate::{bearer, request};

/// The executable with faults, killed when it is dropped.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_upstream"))
            .env_clear()
            .envs(env::bench())
            .envs([
                ("HOST", "127.0.0.1"),
                ("PORT", "0"),
                ("UPSTREAM_FAULTS", "1"),
            ])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let words = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix("address="));
        Self {
            child,
            address: words.unwrap().parse().unwrap(),
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_request_in_flight_at_sigterm_is_answered_and_the_exit_code_is_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut process = Process::start();
        let mut connection = Connection::open(process.address).unwrap();
        connection
            .send(request("GET", "/faults/delay-500/data", &[&bearer()]))
            .unwrap();
        std::thread::sleep(Duration::from_millis(100));
        process.signal(signal);
        let answer = connection.answer().unwrap();
        assert_eq!(answer.text(), fixtures::PRODUCT_JSON);
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(process.wait().code(), Some(0));
    }
}

#[test]
fn an_idle_connection_is_closed_at_once() {
    let mut process = Process::start();
    let mut fresh = Connection::open(process.address).unwrap();
    let mut idle = Connection::open(process.address).unwrap();
    idle.ask(request("GET", "/health", &[])).unwrap();
    let mut busy = Connection::open(process.address).unwrap();
    busy.send(request("GET", "/faults/delay-1500/data", &[&bearer()]))
        .unwrap();
    std::thread::sleep(Duration::from_millis(100));
    process.signal(Signal::TERM);
    let signalled = Instant::now();
    assert!(idle.closed().unwrap());
    assert!(fresh.closed().unwrap());
    assert!(
        signalled.elapsed() < Duration::from_secs(1),
        "before the request in flight is done"
    );
    assert_eq!(busy.answer().unwrap().status, 200);
    assert_eq!(process.wait().code(), Some(0));
}

#[test]
fn new_connections_are_refused_during_the_drain() {
    let process = Process::start();
    let mut busy = Connection::open(process.address).unwrap();
    busy.send(request("GET", "/faults/delay-1000/data", &[&bearer()]))
        .unwrap();
    std::thread::sleep(Duration::from_millis(100));
    process.signal(Signal::TERM);
    std::thread::sleep(Duration::from_millis(300));
    assert!(Connection::open(process.address).is_err());
    assert_eq!(busy.answer().unwrap().status, 200);
}

#[test]
fn a_second_signal_ends_now() {
    let mut process = Process::start();
    let mut hanging = Connection::open(process.address).unwrap();
    hanging
        .send(request("GET", "/faults/hang/data", &[&bearer()]))
        .unwrap();
    std::thread::sleep(Duration::from_millis(100));
    process.signal(Signal::TERM);
    std::thread::sleep(Duration::from_millis(200));
    assert!(process.child.try_wait().unwrap().is_none(), "it drains");
    process.signal(Signal::INT);
    assert_eq!(process.wait().code(), Some(130));
}
