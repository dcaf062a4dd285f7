//! `harness doctor` on machines that have only what a test put there.

use std::process::Command;

use crate::suite::{Said, Suite, said};

/// A machine on which these programs say these words, whatever they are asked.
fn machine(programs: &[(&str, &str)]) -> Suite {
    let suite = Suite::new();
    for (name, script) in programs {
        suite.install(name, script);
    }
    suite
}

/// What it says there, with nothing else in the search path.
fn doctor(suite: &Suite) -> Said {
    let mut doctor: Command = suite.command(&["doctor"]);
    doctor.env("PATH", suite.path("")).env_remove("NO_INSTALL");
    said(doctor.output().unwrap())
}

/// The words after what a line is for and about.
fn line<'a>(said: &'a Said, way: &str, what: &str) -> &'a str {
    let mut lines = said.out.lines().filter_map(|line| {
        let rest = line.trim_start().strip_prefix(way)?;
        rest.trim_start().strip_prefix(what)
    });
    let found = lines.next().map(str::trim);
    found.unwrap_or_else(|| panic!("no line for {way} about {what}:\n{}", said.out))
}

const CARGO: (&str, &str) = ("cargo", "echo cargo 99.0.0");
const CC: (&str, &str) = ("cc", "echo cc 12.2.0");

/// An engine and a Compose of these versions.
fn docker(engine: &str, compose: &str) -> String {
    format!(
        "case $1 in --version) echo Docker version {engine};; version) echo {engine};; \
         compose) echo {compose};; esac"
    )
}

#[test]
fn a_machine_with_nothing_is_told_what_to_install_and_the_code_is_1() {
    let said = doctor(&machine(&[]));
    assert_eq!(said.code, Some(1), "{said:?}");
    let cargo = line(&said, "native", "cargo");
    assert!(
        cargo.starts_with("missing") && cargo.contains("rustup"),
        "{cargo}"
    );
    assert!(line(&said, "native", "cc").contains("apt install gcc"));
    let engine = line(&said, "docker", "engine");
    assert!(
        engine.starts_with("missing") && engine.contains("install Docker"),
        "{engine}"
    );
    assert!(line(&said, "docker", "Compose").starts_with("missing"));
    assert!(
        line(&said, "bench", "k6").starts_with("note"),
        "{}",
        said.out
    );
    assert!(line(&said, "bench", "wrk").contains("only for `--engine wrk`"));
    assert!(line(&said, "kit", "git").starts_with("missing"));
    assert!(said.out.ends_with("something is missing\n"), "{}", said.out);
}

#[test]
fn a_toolchain_is_enough_for_a_native_start() {
    let said = doctor(&machine(&[CARGO, CC]));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(line(&said, "native", "cargo").starts_with("ok"));
    assert!(line(&said, "native", "make").starts_with("note"));
    assert!(
        said.out
            .ends_with("The suite can start natively: make up\n"),
        "{}",
        said.out
    );
}

#[test]
fn an_engine_is_enough_for_a_start_in_containers() {
    let said = doctor(&machine(&[("docker", &docker("25.0.0", "2.20.2"))]));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.out
            .ends_with("The suite can start in containers: make up\n"),
        "{}",
        said.out
    );
    // The kit needs them too.
    assert!(line(&said, "kit", "engine").starts_with("ok"));
}

#[test]
fn what_is_too_old_is_named_with_what_is_needed() {
    let old = docker("24.0.7", "v2.19.1");
    let said = doctor(&machine(&[
        ("cargo", "echo cargo 1.70.0"),
        CC,
        ("docker", &old),
    ]));
    assert_eq!(said.code, Some(1), "{said:?}");
    let cargo = line(&said, "native", "cargo");
    assert!(
        cargo.contains("cargo 1.70.0 is too old: run `rustup update`"),
        "{cargo}"
    );
    let engine = line(&said, "docker", "engine");
    assert!(engine.contains("24.0.7 is too old"), "{engine}");
    let compose = line(&said, "docker", "Compose");
    assert!(compose.contains("needs 2.20 or newer"), "{compose}");
}

#[test]
fn an_engine_that_does_not_answer_is_told_from_one_that_is_not_there() {
    let docker =
        "case $1 in --version) echo Docker version 27.1;; compose) echo 2.29.0;; *) exit 1;; esac";
    let said = doctor(&machine(&[("docker", docker)]));
    assert_eq!(said.code, Some(1), "{said:?}");
    let engine = line(&said, "docker", "engine");
    assert!(engine.contains("no engine answers"), "{engine}");
}
