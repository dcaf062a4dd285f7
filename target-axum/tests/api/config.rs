//! The executable and its environment: every row of the contract's table.

use std::os::unix::ffi::OsStringExt;
use std::process::Command;

use schema::env::{self, Service};
use testbed::child::refusal;

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_target-axum"));
    command.env_clear().envs(env::bench()).env("PORT", "0");
    command
}

#[track_caller]
fn assert_refused(command: &mut Command, name: &str, value: &str) {
    let line = refusal(command).unwrap();
    assert!(line.starts_with(&format!("target-axum: {name} ")), "{line}");
    assert!(value.is_empty() || !line.contains(value), "{line}");
}

#[test]
fn every_variable_that_is_missing_or_empty_stops_it_with_one_line() {
    let mut checked = 0;
    for variable in env::ALL
        .iter()
        .filter(|one| one.read_by.contains(&Service::Target))
    {
        if variable.default.is_none() {
            assert_refused(command().env_remove(variable.name), variable.name, "");
        }
        assert_refused(command().env(variable.name, ""), variable.name, "");
        let no_utf8 = std::ffi::OsString::from_vec(vec![b'1', 0xff]);
        assert_refused(command().env(variable.name, no_utf8), variable.name, "");
        checked += 1;
    }
    assert_eq!(checked, 14);
}

#[test]
fn every_value_that_cannot_be_parsed_stops_it_with_one_line() {
    for (name, values) in [
        (
            "UPSTREAM_URL",
            &[
                "upstream:8000",
                "https://upstream",
                "http://:80",
                "http://u:hunter2@upstream",
            ][..],
        ),
        ("UPSTREAM_API_KEY", &["with space", "with\nnewline"]),
        (
            "UPSTREAM_POOL_SIZE",
            &["zero", "0x40", "-64", "100000", "64.0"],
        ),
        ("DB_PORT", &["postgres", "-5432", "65536"]),
        ("DB_POOL_SIZE", &["zero", "0x40", "-64", "100000", "64.0"]),
        ("WORKERS", &["two", "-10", "65"]),
        ("PROFILE", &["Tuned", "fast"]),
        // The former name of PROFILE.
        ("CLIENTS", &["idiomatic", "tuned"]),
        ("HOST", &["localhost", "999.0.0.1"]),
        ("PORT", &["http", "65536", "-80"]),
    ] {
        for value in values {
            // Too many workers are told of by the pool that is too small for them.
            let named = if (name, *value) == ("WORKERS", "65") {
                "UPSTREAM_POOL_SIZE"
            } else {
                name
            };
            assert_refused(command().env(name, value), named, value);
        }
    }
}

#[test]
fn a_port_in_use_stops_it_with_one_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let line = refusal(command().env("PORT", &port)).unwrap();
    assert!(
        line.contains(&format!("cannot listen on 0.0.0.0:{port}")),
        "{line}"
    );
}
