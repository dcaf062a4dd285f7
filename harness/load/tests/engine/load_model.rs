//! How requests follow each other, and what is seen of a server that stalls.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use load::input::inputs;
use load::record::LoadModel;
use load::scenario::Scenario;
use schema::{Profile, fixtures};

use super::server::{Asked, closed, right, serve};
use super::{info, measure};

/// A server that answers nothing for the first 200 ms of every second.
fn stalling() -> impl Fn(Asked<'_>) -> io::Result<()> + Send + Sync {
    const STALL_MS: u64 = 200;
    let begin = Instant::now();
    move |mut asked| {
        let phase = (begin.elapsed().as_millis() % 1000) as u64;
        sleep(Duration::from_millis(STALL_MS.saturating_sub(phase)));
        asked.answer(right())
    }
}

/// Whether it holds once in three times: a machine that is busy otherwise stalls by itself.
fn once_in_three(holds: impl Fn() -> bool) -> bool {
    (0..3).any(|_| holds())
}

#[test]
fn a_closed_loop_hides_a_stall_and_an_open_one_shows_it() {
    let time = Duration::from_secs(3);
    assert!(once_in_three(|| {
        let closed = info(serve(stalling()), LoadModel::Closed, time).latency;
        println!("{closed:?}");
        // The few requests that met it are no hundredth of all.
        closed.p99_ms < 50.0 && closed.max_ms.unwrap() > 100.0
    }));
    // A fifth of the requests was due while it stalled: the latest waited for a moment, the
    // earliest for all of it.
    let open = info(serve(stalling()), LoadModel::Open(400.0), time).latency;
    assert!(open.p99_ms > 150.0, "{open:?}");
    assert!(open.p90_ms.unwrap() > 50.0, "{open:?}");
}

#[test]
fn an_open_loop_keeps_its_rate() {
    let rate = 800.0;
    assert!(once_in_three(|| {
        let server = serve(|mut asked| asked.answer(right()));
        let measured = info(server, LoadModel::Open(rate), Duration::from_secs(5));
        assert_eq!(measured.error_count(), 0);
        let kept = measured.requests_per_sec() / rate;
        println!("{kept} of the rate");
        (0.99..=1.01).contains(&kept)
    }));
}

#[test]
fn a_server_that_is_too_slow_is_late_by_the_schedule() {
    // 4 connections of 20 ms are 200 per second: at 400, half of the time is a backlog.
    let server = serve(|mut asked| {
        sleep(Duration::from_millis(20));
        asked.answer(right())
    });
    let measured = info(server, LoadModel::Open(400.0), Duration::from_secs(2));
    assert!(measured.requests <= 400, "{}", measured.requests);
    assert!(
        measured.latency.max_ms.unwrap() > 800.0,
        "{:?}",
        measured.latency
    );
}

#[test]
fn what_the_server_closes_while_nothing_is_asked_is_no_error() {
    let server = serve(|mut asked| {
        asked
            .stream
            .set_read_timeout(Some(Duration::from_millis(20)))?;
        asked.answer(right())
    });
    // Each connection has a request every 500 ms.
    let measured = info(server, LoadModel::Open(8.0), Duration::from_secs(2));
    assert_eq!(measured.error_count(), 0, "{:?}", measured.errors);
    assert!(measured.requests >= 12, "{}", measured.requests);
}

#[test]
fn neighbouring_requests_are_different_ones() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let record = Arc::clone(&seen);
    let server = serve(move |mut asked| {
        record.lock().unwrap().push(asked.head.to_owned());
        asked.answer("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
    });
    let users: Vec<_> = (0..40)
        .map(|number| Profile {
            id: format!("user-{number}"),
            ..fixtures::profile()
        })
        .collect();
    let scenario = Scenario::UsersMe;
    let inputs = inputs(scenario, server, &users, "secret");
    let duration = Duration::from_secs(1);
    measure(scenario, server, &inputs, LoadModel::Open(200.0), duration);
    let seen = seen.lock().unwrap();
    let different: HashSet<_> = seen.iter().collect();
    assert_eq!(different.len(), users.len());
    // Connections that take turns, ten inputs from each other.
    let repeated = seen.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert_eq!(repeated, 0);
}

#[test]
fn all_connections_are_open_and_stay_so() {
    let ports: Arc<Mutex<HashSet<u16>>> = Arc::default();
    let record = Arc::clone(&ports);
    let server = serve(move |mut asked| {
        record
            .lock()
            .unwrap()
            .insert(asked.stream.peer_addr()?.port());
        asked.answer(right())
    });
    let measured = info(server, LoadModel::Closed, Duration::from_millis(300));
    assert!(measured.requests > 8);
    assert_eq!(ports.lock().unwrap().len(), 4);
}

#[test]
fn a_server_that_does_not_listen_is_named() {
    let server = serve(|_| closed());
    let nobody = (server.ip(), 1).into();
    let load = load::engine::Load {
        target: nobody,
        scenario: Scenario::Info,
        inputs: &inputs(Scenario::Info, nobody, &[], "secret"),
        connections: 1,
        threads: 1,
        load_model: LoadModel::Closed,
        warmup: Duration::ZERO,
        duration: Duration::from_millis(1),
    };
    let builtin = load::engine::builtin::Builtin;
    let error = load::engine::measure(&builtin, &load).unwrap_err();
    assert_eq!(error.to_string(), "connecting to 127.0.0.1:1");
}
