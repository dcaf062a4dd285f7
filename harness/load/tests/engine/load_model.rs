//! The closed and the open loop: schedule, latency of a stalled server, connections and inputs.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use load::record::LoadModel;
use load::scenario::Scenario;
use schema::fixtures;

use super::server::{Exchange, close, right, serve};
use super::{info, measure, try_measure};

/// A server that does not respond for the first 200 ms of every second.
fn stalling() -> impl Fn(Exchange<'_>) -> io::Result<()> + Send + Sync {
    const STALL_MS: u64 = 200;
    let begin = Instant::now();
    move |mut exchange| {
        let phase = (begin.elapsed().as_millis() % 1000) as u64;
        sleep(Duration::from_millis(STALL_MS.saturating_sub(phase)));
        exchange.respond(right())
    }
}

/// Returns true if one of three attempts succeeds: a busy machine stalls by itself.
fn once_in_three(succeeds: impl Fn() -> bool) -> bool {
    (0..3).any(|_| succeeds())
}

#[test]
fn stall_is_hidden_in_closed_loop_and_shows_in_open_loop() {
    let time = Duration::from_secs(3);
    assert!(once_in_three(|| {
        let closed = info(serve(stalling()), LoadModel::Closed, time).latency;
        println!("{closed:?}");
        // The few requests that met it are less than one percent.
        closed.p99_ms < 50.0 && closed.max_ms.unwrap() > 100.0
    }));
    // A fifth of the requests was due during the stall: the last waited for a moment, the first for
    // all of it.
    let open = info(serve(stalling()), LoadModel::Open(400.0), time).latency;
    assert!(open.p99_ms > 150.0, "{open:?}");
    assert!(open.p90_ms.unwrap() > 50.0, "{open:?}");
}

#[test]
fn open_loop_keeps_its_rate() {
    let rate = 800.0;
    assert!(once_in_three(|| {
        let server = serve(|mut exchange| exchange.respond(right()));
        let measured = info(server, LoadModel::Open(rate), Duration::from_secs(5));
        assert_eq!(measured.error_count(), 0);
        let kept = measured.requests_per_sec() / rate;
        println!("{kept} of the rate");
        (0.99..=1.01).contains(&kept)
    }));
}

#[test]
fn latency_of_a_slow_server_counts_from_the_schedule() {
    // 4 connections of 20 ms are 200 per second: at 400, half of the time is a backlog.
    let server = serve(|mut exchange| {
        sleep(Duration::from_millis(20));
        exchange.respond(right())
    });
    let measured = info(server, LoadModel::Open(400.0), Duration::from_secs(2));
    assert!(measured.requests <= 400, "{}", measured.requests);
    let latency = measured.latency;
    assert!(latency.max_ms.unwrap() > 800.0, "{latency:?}");
}

#[test]
fn idle_connection_that_the_server_closes_is_no_error() {
    let server = serve(|mut exchange| {
        let idle_timeout = Some(Duration::from_millis(20));
        exchange.stream.set_read_timeout(idle_timeout)?;
        exchange.respond(right())
    });
    // Each connection has a request every 500 ms.
    let measured = info(server, LoadModel::Open(8.0), Duration::from_secs(2));
    assert_eq!(measured.error_count(), 0, "{:?}", measured.errors);
    assert!(measured.requests >= 12, "{}", measured.requests);
}

#[test]
fn no_two_requests_are_alike() {
    let heads: Arc<Mutex<Vec<String>>> = Arc::default();
    let record = Arc::clone(&heads);
    let server = serve(move |mut exchange| {
        record.lock().unwrap().push(exchange.head.to_owned());
        exchange.respond("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
    });
    let users = [fixtures::profile()];
    let model = LoadModel::Open(200.0);
    measure(
        Scenario::UsersMe,
        server,
        &users,
        model,
        Duration::from_secs(1),
    );
    let heads = heads.lock().unwrap();
    let different: HashSet<_> = heads.iter().collect();
    assert!(
        heads.len() > 100 && different.len() == heads.len(),
        "{heads:?}"
    );
}

#[test]
fn all_connections_are_used_and_stay_open() {
    let ports: Arc<Mutex<HashSet<u16>>> = Arc::default();
    let record = Arc::clone(&ports);
    let server = serve(move |mut exchange| {
        let port = exchange.stream.peer_addr()?.port();
        record.lock().unwrap().insert(port);
        exchange.respond(right())
    });
    let measured = info(server, LoadModel::Closed, Duration::from_millis(300));
    assert!(measured.requests > 8);
    assert_eq!(ports.lock().unwrap().len(), 4);
}

#[test]
fn unreachable_server_is_named() {
    let target = (serve(|_| close()).ip(), 1).into();
    let time = Duration::from_millis(1);
    let error = try_measure(Scenario::Info, target, &[], LoadModel::Closed, time).unwrap_err();
    assert_eq!(error.to_string(), "connecting to 127.0.0.1:1");
}
