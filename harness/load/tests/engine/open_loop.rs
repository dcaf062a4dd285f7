//! The open loop in the background, driven by a traffic of these tests.

use std::collections::HashSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::sleep;
use std::time::{Duration, Instant};

use load::engine::builtin::{Exchange, Failure, OpenLoop, Traffic};

use super::server::{self, close, right, serve};

const REQUEST: &[u8] = b"GET /info HTTP/1.1\r\nHost: test\r\n\r\n";

const RATE: f64 = 200.0;

/// Numbers its requests and keeps how they ended.
#[derive(Clone, Default)]
struct Numbered {
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    sent: u64,
    in_flight: HashSet<u64>,
    statuses: Vec<u16>,
    failures: Vec<Failure>,
    repeated: u64,
    unsent: u64,
    unexpected: u64,
    latency_max: Duration,
}

impl Numbered {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }
}

impl Traffic for Numbered {
    type Request = u64;

    fn next(&mut self, scheduled: Instant) -> u64 {
        assert!(scheduled <= Instant::now());
        let mut seen = self.seen();
        seen.sent += 1;
        let number = seen.sent;
        seen.in_flight.insert(number);
        number
    }

    fn bytes(&self, _request: &u64) -> &[u8] {
        REQUEST
    }

    fn header(&self, _request: &u64) -> Option<&'static str> {
        Some("x-response-id")
    }

    fn ended(&mut self, request: u64, exchange: &Exchange<'_>) {
        let mut seen = self.seen();
        assert!(seen.in_flight.remove(&request), "{request} ended twice");
        assert!(exchange.scheduled <= exchange.dispatched);
        seen.repeated += u64::from(exchange.is_repeated);
        seen.latency_max = seen.latency_max.max(exchange.latency());
        match &exchange.result {
            Ok(response) => {
                assert!(response.is_json && response.has_header);
                let bytes = [response.head, response.body].concat();
                assert_eq!(bytes, right().into_bytes());
                seen.statuses.push(response.status);
            }
            Err(failure) => seen.failures.push(*failure),
        }
    }

    fn unsent(&mut self, _scheduled: Instant) {
        self.seen().unsent += 1;
    }

    fn unexpected_data(&mut self, _at: Instant) {
        self.seen().unexpected += 1;
    }
}

fn start(target: SocketAddr, connections: usize) -> (OpenLoop<Numbered>, Numbered) {
    let traffic = Numbered::default();
    let open_loop = OpenLoop::start(target, RATE, connections, traffic.clone()).unwrap();
    (open_loop, traffic)
}

/// Waits until this holds, for at most ten seconds.
#[track_caller]
fn wait_until(traffic: &Numbered, holds: impl Fn(&Seen) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds(&traffic.seen()) {
        assert!(Instant::now() < deadline);
        sleep(Duration::from_millis(5));
    }
}

/// A server that answers correctly and keeps the ports of its clients.
fn recording() -> (SocketAddr, Arc<Mutex<Vec<u16>>>) {
    let ports: Arc<Mutex<Vec<u16>>> = Arc::default();
    let record = Arc::clone(&ports);
    let address = serve(move |mut exchange| {
        let port = exchange.stream.peer_addr()?.port();
        record.lock().unwrap().push(port);
        exchange.respond(right())
    });
    (address, ports)
}

fn different(ports: &Mutex<Vec<u16>>) -> usize {
    let ports = ports.lock().unwrap();
    ports.iter().collect::<HashSet<_>>().len()
}

#[test]
fn every_request_ends_once_on_few_connections_of_many() {
    let (address, ports) = recording();
    let (open_loop, traffic) = start(address, 1000);
    wait_until(&traffic, |seen| seen.statuses.len() >= 40);
    open_loop.stop().unwrap();
    let seen = traffic.seen();
    assert_eq!(seen.failures, []);
    assert!(seen.in_flight.len() <= 1, "{:?}", seen.in_flight);
    assert_eq!(
        seen.sent as usize,
        seen.statuses.len() + seen.in_flight.len()
    );
    assert!(different(&ports) < 20, "{}", different(&ports));
}

#[test]
fn connection_per_request_opens_as_many_as_there_are_requests() {
    let (address, ports) = recording();
    let (open_loop, traffic) = start(address, 1000);
    open_loop.set_keep_alive(false);
    wait_until(&traffic, |seen| seen.statuses.len() >= 40);
    open_loop.stop().unwrap();
    let requests = ports.lock().unwrap().len();
    // The first may have been sent before the switch.
    assert!(different(&ports) + 2 >= requests, "{requests} requests");
    assert_eq!(traffic.seen().failures, []);
}

#[test]
fn new_target_is_used_by_all_once_connections_are_dropped() {
    let ((first, first_ports), (second, second_ports)) = (recording(), recording());
    let (open_loop, traffic) = start(first, 1);
    wait_until(&traffic, |seen| seen.statuses.len() >= 5);
    open_loop.set_target(second);
    let now = traffic.seen().statuses.len();
    wait_until(&traffic, |seen| seen.statuses.len() >= now + 5);
    assert_eq!(
        second_ports.lock().unwrap().len(),
        0,
        "an open connection stays in use"
    );
    open_loop.drop_connections();
    wait_until(&traffic, |_| second_ports.lock().unwrap().len() >= 5);
    let before = first_ports.lock().unwrap().len();
    let now = traffic.seen().statuses.len();
    wait_until(&traffic, |seen| seen.statuses.len() >= now + 5);
    assert_eq!(first_ports.lock().unwrap().len(), before);
    assert_eq!(open_loop.target(), second);
    assert_eq!(traffic.seen().failures, []);
}

#[test]
fn request_that_meets_a_closed_idle_connection_is_sent_again() {
    // Each connection is closed, without a word, when its second request comes.
    let address = serve(
        |mut exchange: server::Exchange<'_>| match exchange.is_first {
            true => exchange.respond(right()),
            false => close(),
        },
    );
    let (open_loop, traffic) = start(address, 10);
    wait_until(&traffic, |seen| seen.repeated >= 5);
    open_loop.stop().unwrap();
    assert_eq!(traffic.seen().failures, []);
}

#[test]
fn request_on_a_new_connection_is_not_sent_again() {
    let address = serve(|_| close());
    let (open_loop, traffic) = start(address, 10);
    wait_until(&traffic, |seen| seen.failures.len() >= 5);
    open_loop.stop().unwrap();
    let seen = traffic.seen();
    assert_eq!((seen.repeated, seen.statuses.len()), (0, 0));
    let is_broken = |failure: &Failure| matches!(failure, Failure::Broken(_));
    assert!(seen.failures.iter().all(is_broken), "{:?}", seen.failures);
}

#[test]
fn refused_connections_fail_each_request_at_once() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (open_loop, traffic) = start(address, 10);
    wait_until(&traffic, |seen| seen.failures.len() >= 20);
    open_loop.stop().unwrap();
    let seen = traffic.seen();
    let refused = Failure::Connect("connection refused");
    assert!(seen.failures.iter().all(|failure| *failure == refused));
    assert_eq!(seen.unsent, 0);
    assert!(seen.latency_max < Duration::from_secs(2));
}

#[test]
fn requests_beyond_the_connections_are_unsent() {
    let address = serve(|_| {
        sleep(Duration::from_secs(60));
        Ok(())
    });
    let (open_loop, traffic) = start(address, 3);
    wait_until(&traffic, |seen| seen.unsent >= 20);
    let begin = Instant::now();
    open_loop.stop().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(2));
    let seen = traffic.seen();
    assert_eq!((seen.sent, seen.in_flight.len()), (3, 3));
}

#[test]
fn data_on_an_idle_connection_is_reported() {
    let address = serve(|mut exchange| {
        exchange.respond(right())?;
        sleep(Duration::from_millis(1));
        let written: io::Result<()> = exchange.respond("HTTP/1.1 408 Request Timeout\r\n\r\n");
        written
    });
    let (open_loop, traffic) = start(address, 10);
    wait_until(&traffic, |seen| seen.unexpected >= 3);
    open_loop.stop().unwrap();
}
