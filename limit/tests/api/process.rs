//! The process: its environment, its signals, what it says.

use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use schema::env::{self, Service};
use testbed::child::refusal;

use crate::suite::{self, Limit};

fn command() -> Command {
    let mut command = suite::command();
    command.env_clear().envs(env::bench()).env("PORT", "0");
    command
}

#[track_caller]
fn assert_refused(command: &mut Command, name: &str) {
    let line = refusal(command).unwrap();
    assert!(line.starts_with(&format!("limit: {name} ")), "{line}");
}

#[test]
fn every_variable_of_the_target_but_the_secret_and_the_clients_is_asked_for() {
    let not_read = [env::JWT_SECRET, env::CLIENTS];
    let read = env::ALL.iter().filter(|variable| {
        variable.read_by.contains(&Service::Target) && !not_read.contains(variable)
    });
    for variable in read {
        if variable.default.is_none() {
            assert_refused(command().env_remove(variable.name), variable.name);
        }
        assert_refused(command().env(variable.name, ""), variable.name);
    }
    for (name, value) in [
        ("UPSTREAM_URL", "https://upstream"),
        ("UPSTREAM_API_KEY", "with space"),
        ("DB_PORT", "65536"),
        ("DB_POOL_SIZE", "0"),
        ("WORKERS", "2"),
    ] {
        assert_refused(command().env(name, value), name);
    }
}

#[test]
fn a_stop_signal_ends_it_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut limit = Limit::start();
        let waiting = limit.connect();
        limit.service.signal(signal).unwrap();
        let status = limit.service.wait_within(Duration::from_secs(5)).unwrap();
        assert_eq!(status.code(), Some(0), "{signal:?}");
        drop(waiting);
    }
}
