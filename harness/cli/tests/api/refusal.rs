//! What `up` cannot do: one clear line, exit code 2, nothing left running.

use std::fs;
use std::net::TcpListener;

use rustix::process::{Pid, Signal, kill_process};

use crate::stand_in;
use crate::suite::{Suite, said, wait_until};

/// `up` fails and what it says contains all of these; nothing runs after it.
fn assert_refused(suite: &Suite, phrases: &[&str]) {
    let said = suite.run(&["up"]);
    assert_eq!(said.code, Some(2), "{said:?}");
    for phrase in phrases {
        assert!(said.err.contains(phrase), "{phrase:?} in {said:?}");
    }
    assert_eq!(said.out, "");
    assert_eq!(suite.pids(), [None; 3]);
}

#[test]
fn a_port_in_use_is_named_with_the_variable_that_moves_it() {
    let suite = Suite::new();
    let upstream = TcpListener::bind(("127.0.0.1", suite.upstream_port)).unwrap();
    let line = format!("port {} on 127.0.0.1 is in use", suite.upstream_port);
    assert_refused(&suite, &[&line, "UPSTREAM_PORT=…"]);
    drop(upstream);
    let _target = TcpListener::bind(("127.0.0.1", suite.target_port)).unwrap();
    let line = format!("port {} on 127.0.0.1 is in use", suite.target_port);
    assert_refused(&suite, &[&line, "TARGET_PORT=…"]);
}

#[test]
fn one_port_cannot_serve_both() {
    let mut suite = Suite::new();
    suite.upstream_port = suite.target_port;
    assert_refused(&suite, &["they must differ"]);
}

#[test]
fn services_that_are_not_built_are_named_with_the_command_that_builds_them() {
    let suite = Suite::new();
    fs::remove_file(suite.path("target-axum")).unwrap();
    assert_refused(
        &suite,
        &["target-axum is not built", "cargo build --release"],
    );
}

#[test]
fn a_service_that_ends_at_start_shows_the_end_of_its_log() {
    let suite = Suite::new();
    suite.install("target-axum", "echo 'JWT_SECRET is not set' >&2; exit 2");
    assert_refused(&suite, &["target has ended", "JWT_SECRET is not set"]);
}

#[test]
fn a_folder_that_holds_something_else_is_not_taken_for_the_state() {
    let suite = Suite::new();
    fs::create_dir(suite.state()).unwrap();
    let thesis = suite.state().join("thesis.tex");
    fs::write(&thesis, "").unwrap();
    assert_refused(&suite, &["holds something else"]);
    assert_eq!(suite.succeed(&["down", "--purge"]), "nothing was running\n");
    assert!(thesis.exists());
    fs::remove_dir_all(suite.state()).unwrap();
}

#[test]
fn a_cluster_that_does_not_start_is_shown_with_the_way_out() {
    let suite = Suite::new().opened();
    suite.succeed(&["up"]);
    suite.succeed(&["down"]);
    fs::write(suite.state().join("data/global/pg_control"), "broken").unwrap();
    assert_refused(&suite, &["postgres has ended", "harness down --purge"]);
    suite.succeed(&["down", "--purge"]);
    suite.succeed(&["up"]);
}

#[test]
fn a_cluster_of_another_version_is_made_anew() {
    let suite = Suite::new().opened();
    suite.succeed(&["up"]);
    let version = suite.state().join("data/PG_VERSION");
    suite.succeed(&["down"]);

    fs::write(&version, "9\n").unwrap();
    let said = suite.run(&["up"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains("is made anew"), "{said:?}");
    let remade = fs::read_to_string(&version).unwrap();
    assert_ne!(remade, "9\n");
}

#[test]
fn a_target_that_is_never_ready_is_stopped_again_when_up_is_interrupted() {
    let suite = Suite::new();
    suite.install("target-axum", &stand_in::script("never-ready"));
    let up = suite.command(&["up"]).spawn().unwrap();
    wait_until("the target runs", || suite.pid("target").is_some());
    kill_process(Pid::from_child(&up), Signal::INT).unwrap();
    let said = said(up.wait_with_output().unwrap());
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.contains("interrupted"), "{said:?}");
    assert_eq!(suite.pids(), [None; 3]);
}
