//! The environment and the signals of the process.

use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use schema::env::{self, Service};
use testbed::child::refusal;

use crate::suite::{self, Ceiling};

fn command() -> Command {
    let mut command = suite::command();
    command.env_clear().envs(env::bench()).env("PORT", "0");
    command
}

#[track_caller]
fn assert_refused(command: &mut Command, name: &str) {
    let line = refusal(command).unwrap();
    assert!(line.starts_with(&format!("ceiling: {name} ")), "{line}");
}

#[test]
fn missing_empty_or_invalid_variables_are_refused_with_one_line() {
    let ignored = [env::JWT_SECRET, env::PROFILE];
    let read = env::ALL.iter().filter(|variable| {
        variable.read_by.contains(&Service::Target) && !ignored.contains(variable)
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
fn stop_signal_ends_the_process_with_exit_code_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut ceiling = Ceiling::start();
        let _client = ceiling.connect();
        ceiling.service.signal(signal).unwrap();
        let status = ceiling.service.wait_within(Duration::from_secs(5)).unwrap();
        assert_eq!(status.code(), Some(0), "{signal:?}");
    }
}
