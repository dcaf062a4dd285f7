//! The executable and its environment.

use std::process::{Command, Output};

use schema::env::{self, EXIT_COULD_NOT_RUN, Service};

/// Runs the upstream with the bench key and port 0, and one variable set otherwise.
fn run_with(name: &str, value: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_upstream"));
    command.env_clear().envs(env::bench()).env("PORT", "0");
    match value {
        Some(value) => command.env(name, value),
        None => command.env_remove(name),
    };
    command.output().unwrap()
}

fn assert_refused(name: &str, value: Option<&str>) {
    let output = run_with(name, value);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        output.status.code(),
        Some(EXIT_COULD_NOT_RUN.into()),
        "{name}: {message}"
    );
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(
        message.starts_with(&format!("upstream: {name} ")),
        "{message}"
    );
    assert!(
        !value.is_some_and(|value| value.len() > 2 && message.contains(value)),
        "{message}"
    );
}

#[test]
fn every_variable_that_is_missing_empty_or_bad_stops_it_with_one_line() {
    let mut checked = 0;
    for variable in env::ALL
        .iter()
        .filter(|one| one.read_by.contains(&Service::Upstream))
    {
        if variable.default.is_none() {
            assert_refused(variable.name, None);
        }
        assert_refused(variable.name, Some(""));
        assert_refused(variable.name, Some("not valid"));
        checked += 1;
    }
    assert_eq!(checked, 5);
}

#[test]
fn a_port_in_use_stops_it_with_one_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = run_with("PORT", Some(&port));
    assert_eq!(output.status.code(), Some(EXIT_COULD_NOT_RUN.into()));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(
        message.contains(&format!("cannot listen on 0.0.0.0:{port}")),
        "{message}"
    );
}

#[test]
fn an_unknown_argument_is_refused() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_upstream"));
    let output = command
        .env_clear()
        .envs(env::bench())
        .arg("--help")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(EXIT_COULD_NOT_RUN.into()));
}
