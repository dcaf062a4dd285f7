//! The executable and its environment: every row of the contract's table.

use std::ffi::OsString;
use std::net::TcpListener;
use std::os::unix::ffi::OsStringExt;
use std::process::Command;

use schema::env::{self, Service};
use testbed::child::refusal;

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_target-axum"));
    command.env_clear().envs(env::bench()).env("PORT", "0");
    command
}

/// Asserts that the target stops with one line that names the variable and not its value.
#[track_caller]
fn assert_refused(command: &mut Command, name: &str, value: &str) {
    let line = refusal(command).unwrap();
    assert!(line.starts_with(&format!("target-axum: {name} ")), "{line}");
    assert!(value.is_empty() || !line.contains(value), "{line}");
}

#[test]
fn missing_empty_or_undecodable_variable_stops_the_target() {
    let read = env::ALL
        .iter()
        .filter(|variable| variable.read_by.contains(&Service::Target));
    for variable in read {
        let name = variable.name;
        if variable.default.is_none() {
            assert_refused(command().env_remove(name), name, "");
        }
        assert_refused(command().env(name, ""), name, "");
        let no_utf8 = OsString::from_vec(vec![b'1', 0xff]);
        assert_refused(command().env(name, no_utf8), name, "");
    }
}

#[test]
fn invalid_value_stops_the_target() {
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
        ("WORKERS", &["two", "-10"]),
        ("PROFILE", &["Tuned", "fast"]),
        ("HOST", &["localhost", "999.0.0.1"]),
        ("PORT", &["http", "65536", "-80"]),
    ] {
        for value in values {
            assert_refused(command().env(name, value), name, value);
        }
    }
    // More workers than connections.
    assert_refused(command().env("WORKERS", "65"), "UPSTREAM_POOL_SIZE", "65");
}

#[test]
fn former_name_of_a_variable_stops_the_target_and_the_new_one_is_named() {
    let line = refusal(command().env("CLIENTS", "tuned")).unwrap();
    assert_eq!(
        line,
        "target-axum: CLIENTS is not read any more: set PROFILE instead"
    );
}

#[test]
fn used_port_stops_the_target() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let line = refusal(command().env("PORT", &port)).unwrap();
    let expected = format!("cannot listen on 0.0.0.0:{port}");
    assert!(line.contains(&expected), "{line}");
}
