//! `harness up`, `status`, `logs`, `urls` and `down`.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;

use rustix::process::{Pid, Signal, kill_process};
use schema::env::{JWT_SECRET, bench_value};
use schema::routes;

use crate::sandbox::{Sandbox, end_by, is_alive, outcome, wait_until};
use crate::stand_in::script;

#[test]
fn up_starts_all_services_and_down_stops_them() {
    let suite = Sandbox::suite();
    let urls = suite.run_to(0, &["up"]).out;
    for path in [routes::INFO, routes::MOVIES] {
        let url = format!("http://127.0.0.1:{}{path}", suite.target_port);
        assert!(urls.contains(&url), "{url} in {urls}");
    }
    assert_eq!(suite.run(&["urls"]).out.trim(), urls.trim());
    let pids = suite.service_pids().map(Option::unwrap);
    suite.run_to(0, &["status"]);
    let logs = suite.run_to(0, &["logs"]).out;
    assert!(logs.contains("ready to accept connections"), "{logs}");
    let log = suite.run_to(0, &["logs", "target"]).out;
    assert!(!log.contains("ready to accept connections"), "{log}");

    let down = suite.run_to(0, &["down"]).out;
    assert_eq!(down.matches(": stopped").count(), 3, "{down}");
    assert!(pids.into_iter().all(|pid| !is_alive(pid)));
    for port in [suite.target_port, suite.upstream_port] {
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    }
    suite.run_to(1, &["status"]);
    assert_eq!(suite.run_to(0, &["down"]).out, "nothing was running\n");
}

#[test]
fn second_up_restarts_only_services_with_changed_settings() {
    let suite = Sandbox::suite();
    suite.run_to(0, &["up"]);
    let pids = suite.service_pids();
    suite.run_to(0, &["up"]);
    assert_eq!(suite.service_pids(), pids);

    let mut up = suite.command(&["up"]);
    let up = up.env("WORKERS", "1").env("HTTP_PROXY", "proxy.invalid");
    let again = outcome(up.env("JWT_SECRET", "mine").output().unwrap());
    assert_eq!(again.code, Some(0), "{again:?}");
    let [postgres, upstream, target] = suite.service_pids();
    assert_eq!(postgres, pids[0]);
    assert_ne!(upstream, pids[1]);
    assert_ne!(target, pids[2]);

    let environment = fs::read(format!("/proc/{}/environ", target.unwrap())).unwrap();
    let environment = String::from_utf8(environment).unwrap().replace('\0', "\n");
    let secret = format!("JWT_SECRET={}\n", bench_value(&JWT_SECRET));
    let upstream = format!("UPSTREAM_URL=http://127.0.0.1:{}\n", suite.upstream_port);
    for line in [&secret, &upstream, "HOST=127.0.0.1\n", "WORKERS=1\n"] {
        assert!(environment.contains(line), "{line} in {environment}");
    }
    assert!(!environment.contains("HTTP_PROXY"), "{environment}");
    assert!(!environment.contains("UPSTREAM_FAULTS"), "{environment}");
}

#[test]
fn up_after_down_reuses_cluster_and_port() {
    let suite = Sandbox::suite().opened();
    let first = suite.run_to(0, &["up"]).out;
    let made = suite.state().join("data").metadata().unwrap();
    suite.run_to(0, &["down"]);
    assert_eq!(suite.run_to(0, &["up"]).out, first);
    let found = suite.state().join("data").metadata().unwrap();
    assert_eq!(found.ino(), made.ino());
    assert_eq!(found.mode() & 0o777, 0o700);
}

#[test]
fn two_ups_at_once_start_one_suite() {
    let suite = Sandbox::suite();
    let both = [0, 1].map(|_| suite.command(&["up"]).spawn().unwrap());
    let both = both.map(|up| outcome(up.wait_with_output().unwrap()));
    assert!(both.iter().all(|up| up.code == Some(0)), "{both:?}");
    let kept = both
        .iter()
        .filter(|up| up.err.contains("target: runs already"));
    assert_eq!(kept.count(), 1, "{both:?}");
}

#[test]
fn up_replaces_killed_services_and_keeps_the_others() {
    let suite = Sandbox::suite();
    suite.run_to(0, &["up"]);
    let [postgres, upstream, target] = suite.service_pids().map(Option::unwrap);
    for pid in [postgres, upstream] {
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    }
    wait_until("two services have ended", || {
        suite.service_pids() == [None, None, Some(target)]
    });
    suite.run_to(0, &["up"]);
    let now = suite.service_pids().map(Option::unwrap);
    assert!(now[0] != postgres && now[1] != upstream);
    assert_eq!(now[2], target, "same ports: no reason to restart it");
}

#[test]
fn ended_up_leaves_nothing_running_after_down() {
    for signal in [Signal::INT, Signal::KILL] {
        let suite = Sandbox::suite();
        let never_ready = format!("export DB_PORT=1; {}", script("target"));
        suite.install("target-axum", &never_ready);
        let up = suite.command(&["up"]).spawn().unwrap();
        wait_until("the target runs", || suite.service_pids()[2].is_some());
        let pids = suite.service_pids().map(Option::unwrap);
        let up = end_by(signal, up);
        if signal == Signal::INT {
            assert_eq!(up.code, Some(2), "{up:?}");
            assert!(up.err.contains("interrupted"), "{up:?}");
        } else {
            let down = suite.run_to(0, &["down"]).out;
            assert_eq!(down.matches(": stopped").count(), 3, "{down}");
        }
        wait_until("the services have ended", || {
            pids.iter().all(|pid| !is_alive(*pid))
        });
    }
}

#[test]
fn up_killed_during_initdb_is_cleaned_up() {
    let suite = Sandbox::suite().opened();
    let up = suite.command(&["up"]).spawn().unwrap();
    let half_made = suite.state().join("data.new/PG_VERSION");
    wait_until("initdb has begun", || half_made.exists());
    end_by(Signal::KILL, up);
    // The watchdog ends initdb.
    suite.run_to(0, &["down"]);
    suite.run_to(0, &["up"]);
}

/// Fails unless `up` fails with all of these phrases and leaves nothing running.
fn assert_refused(suite: &Sandbox, phrases: &[&str]) {
    let up = suite.run_to(2, &["up"]);
    for phrase in phrases {
        assert!(up.err.contains(phrase), "{phrase:?} in {up:?}");
    }
    assert_eq!(up.out, "");
    assert_eq!(suite.service_pids(), [None; 3]);
}

#[test]
fn up_names_the_reason_and_the_remedy() {
    let mut suite = Sandbox::suite();
    for (port, variable) in [
        (suite.upstream_port, "UPSTREAM_PORT=…"),
        (suite.target_port, "TARGET_PORT=…"),
    ] {
        let _listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let line = format!("port {port} on 127.0.0.1 is in use");
        assert_refused(&suite, &[&line, variable]);
    }
    let target_port = suite.target_port;
    suite.target_port = suite.upstream_port;
    assert_refused(&suite, &["they must differ"]);
    suite.target_port = target_port;
    suite.install("target-axum", "echo 'JWT_SECRET is not set' >&2; exit 2");
    assert_refused(&suite, &["target", "JWT_SECRET is not set"]);
    fs::remove_file(suite.path("target-axum")).unwrap();
    assert_refused(&suite, &["target-axum is not built", "cargo build"]);
}

#[test]
fn folder_with_other_files_is_not_used_as_state() {
    let suite = Sandbox::suite();
    fs::create_dir(suite.state()).unwrap();
    let thesis = suite.state().join("thesis.tex");
    fs::write(&thesis, "").unwrap();
    assert_refused(&suite, &["holds something else"]);
    suite.run_to(0, &["down", "--purge"]);
    assert!(thesis.exists());
}

#[test]
fn unusable_cluster_is_reported_or_made_again() {
    let suite = Sandbox::suite().opened();
    suite.run_to(0, &["up"]);
    suite.run_to(0, &["down"]);
    let data = suite.state().join("data");
    fs::write(data.join("global/pg_control"), "broken").unwrap();
    assert_refused(&suite, &["harness down --purge"]);
    fs::write(data.join("PG_VERSION"), "9\n").unwrap();
    suite.run_to(0, &["up"]);
    assert_ne!(fs::read_to_string(data.join("PG_VERSION")).unwrap(), "9\n");
}
