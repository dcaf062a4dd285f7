//! up, up again, status, down.

use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use schema::env::{JWT_SECRET, bench_value};
use schema::routes;
use testbed::raw::Connection;

use crate::suite::{Suite, is_alive, said};

/// "In well under a second", with room for other tests on the same cores.
const QUICK: Duration = Duration::from_secs(3);

fn environment_of(port: u16) -> String {
    let mut connection = Connection::open(([127, 0, 0, 1], port).into()).unwrap();
    connection
        .ask("GET /environment HTTP/1.1\r\n\r\n")
        .unwrap()
        .text()
}

#[test]
fn up_leaves_all_running_and_down_nothing() {
    let suite = Suite::new();
    assert_eq!(suite.run(&["logs"]).code, Some(2));
    let guide = suite.succeed(&["up"]);
    for path in [
        routes::INFO,
        routes::CATALOG,
        routes::USERS_ME,
        routes::MOVIES,
    ] {
        let url = format!("http://127.0.0.1:{}{path}", suite.target_port);
        assert!(guide.contains(&url), "{url} in {guide}");
    }
    assert_eq!(suite.succeed(&["urls"]).trim(), guide.trim());
    let pids = suite.pids().map(Option::unwrap);
    assert_eq!(suite.run(&["status"]).code, Some(0));
    let logs = suite.succeed(&["logs"]);
    assert!(logs.contains("ready to accept connections"), "{logs}");
    let log = suite.succeed(&["logs", "target"]);
    assert!(
        log.contains("running 1 test") && !log.contains("connections"),
        "{log}"
    );

    let down = suite.succeed(&["down"]);
    for name in ["postgres", "upstream", "target"] {
        assert!(down.contains(&format!("{name}: stopped")), "{down}");
    }
    assert!(pids.into_iter().all(|pid| !is_alive(pid)));
    for port in [suite.target_port, suite.upstream_port] {
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    }
    assert_eq!(suite.run(&["status"]).code, Some(1));
    assert_eq!(suite.succeed(&["down"]), "nothing was running\n");
}

#[test]
fn up_twice_leaves_what_runs_alone_and_a_change_restarts_only_what_it_concerns() {
    let suite = Suite::new();
    suite.succeed(&["up"]);
    let pids = suite.pids();

    let begun = Instant::now();
    suite.succeed(&["up"]);
    assert!(begun.elapsed() < QUICK, "{:?}", begun.elapsed());
    assert_eq!(suite.pids(), pids);

    let mut up = suite.command(&["up"]);
    up.env("WORKERS", "2")
        .env("HTTP_PROXY", "http://proxy.invalid")
        .env("JWT_SECRET", "mine");
    let again = said(up.output().unwrap());
    assert_eq!(again.code, Some(0), "{again:?}");
    let [postgres, upstream, target] = suite.pids();
    assert_eq!(postgres, pids[0]);
    assert_ne!(upstream, pids[1]);
    assert_ne!(target, pids[2]);
    assert_sees_the_bench_values_and_little_else(&suite);
}

fn assert_sees_the_bench_values_and_little_else(suite: &Suite) {
    let target = environment_of(suite.target_port);
    let secret = format!("JWT_SECRET={}\n", bench_value(&JWT_SECRET));
    let upstream = format!("UPSTREAM_URL=http://127.0.0.1:{}\n", suite.upstream_port);
    for line in [
        &secret,
        &upstream,
        "HOST=127.0.0.1\n",
        "DB_HOST=127.0.0.1\n",
        "WORKERS=2\n",
    ] {
        assert!(target.contains(line), "{line} in {target}");
    }
    assert!(!target.contains("HTTP_PROXY"), "{target}");
    assert!(!target.contains("UPSTREAM_FAULTS"), "{target}");
    assert!(environment_of(suite.upstream_port).contains("UPSTREAM_FAULTS=1\n"));
}

#[test]
fn up_after_down_finds_its_cluster_and_port_again_and_is_quick() {
    let suite = Suite::new().opened();
    let first = suite.succeed(&["up"]);
    let made = suite.state().join("data").metadata().unwrap();
    suite.succeed(&["down"]);

    let begun = Instant::now();
    assert_eq!(suite.succeed(&["up"]), first);
    assert!(begun.elapsed() < QUICK, "{:?}", begun.elapsed());
    let found = suite.state().join("data").metadata().unwrap();
    assert_eq!(found.ino(), made.ino());
    assert_eq!(found.mode() & 0o777, 0o700);
}

#[test]
fn two_ups_at_once_start_one_suite() {
    let suite = Suite::new();
    let both = [0, 1].map(|_| suite.command(&["up"]).spawn().unwrap());
    let both = both.map(|up| said(up.wait_with_output().unwrap()));
    assert_eq!(
        both.each_ref().map(|said| said.code),
        [Some(0); 2],
        "{both:?}"
    );
    let kept = both
        .iter()
        .filter(|said| said.err.contains("target: runs already"))
        .count();
    assert_eq!(kept, 1, "{both:?}");
}
