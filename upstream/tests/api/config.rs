//! The executable and its environment.

use std::process::Command;

use schema::env::{self, Service};
use testbed::child::refusal;

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_upstream"));
    command.env_clear().envs(env::bench()).env("PORT", "0");
    command
}

#[test]
fn every_variable_that_is_missing_empty_or_bad_stops_it_with_one_line() {
    let mut checked = 0;
    for variable in env::ALL
        .iter()
        .filter(|one| one.read_by.contains(&Service::Upstream))
    {
        let (name, bad) = (variable.name, "not valid");
        let mut lines = vec![
            refusal(command().env(name, "")).unwrap(),
            refusal(command().env(name, bad)).unwrap(),
        ];
        if variable.default.is_none() {
            lines.push(refusal(command().env_remove(name)).unwrap());
        }
        for line in lines {
            assert!(line.starts_with(&format!("upstream: {name} ")), "{line}");
            assert!(!line.contains(bad), "{line}");
        }
        checked += 1;
    }
    assert_eq!(checked, 5);
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

#[test]
fn an_unknown_argument_is_refused() {
    let line = refusal(command().arg("--help")).unwrap();
    assert!(line.contains("`probe`"), "{line}");
}
