//! What a native start and the tests need.

use schema::env::{TARGET_PORT, UPSTREAM_PORT};
use schema::limits::POSTGRES_MIN_MAJOR;

use super::{Finding, State, Way, version};
use crate::bench::platform::first_line;
use crate::port;
use crate::postgres::obtain;
use crate::state;

/// The oldest toolchain that compiles the suite.
const RUST: &str = env!("CARGO_PKG_RUST_VERSION");

/// What `make lint` needs beside the compiler.
const COMPONENTS: [(&str, &str); 2] = [("rustfmt", "fmt"), ("clippy", "clippy")];

pub(super) fn findings(ports: [u16; 2]) -> Vec<Finding> {
    let mut findings = vec![
        cargo(),
        program(
            Way::Native,
            "cc",
            State::Missing,
            "install a C toolchain, for example `apt install gcc libc6-dev`",
        ),
        program(
            Way::Native,
            "make",
            State::Note,
            "the goals of the Makefile are plain cargo and harness commands: install make to say \
             them short",
        ),
        postgres(),
    ];
    let [target, upstream] = ports;
    findings.push(free(target, TARGET_PORT.0, "target's port"));
    findings.push(free(upstream, UPSTREAM_PORT.0, "upstream's port"));
    findings.extend(COMPONENTS.map(|(name, command)| {
        let said = first_line("cargo", &[command, "--version"]);
        let fix = format!("run `rustup component add {name}`");
        found(Way::Tests, name, said, State::Missing, &fix)
    }));
    let deny = first_line("cargo", &["deny", "--version"]);
    let fix = "`.ci/run` installs it when it first runs";
    findings.push(found(Way::Tests, "cargo-deny", deny, State::Note, fix));
    let fix = "the example contender is not checked without it";
    findings.push(program(Way::Tests, "python3", State::Note, fix));
    findings
}

fn cargo() -> Finding {
    let fix = format!("install Rust {RUST} or newer with rustup, https://rustup.rs");
    let said = first_line("cargo", &["--version"]);
    let is_old = |said: &String| version(said) < version(RUST);
    match said {
        Some(said) if is_old(&said) => Finding::new(
            Way::Native,
            "cargo",
            State::Missing,
            format!("{said} is too old: run `rustup update`, the suite needs {RUST}"),
        ),
        said => found(Way::Native, "cargo", said, State::Missing, &fix),
    }
}

/// A server, or that one is got.
fn postgres() -> Finding {
    let known = state::State::find().and_then(|state| obtain::known(&state));
    let none = format!("none of version {POSTGRES_MIN_MAJOR} or newer");
    let (state, says) = match known {
        Ok(Some(server)) => {
            let says = format!("{}, in {}", server.version, server.bin.display());
            (State::Ok, says)
        }
        Ok(None) if obtain::is_forbidden() => {
            (State::Missing, format!("{none}: {}", obtain::advice()))
        }
        Ok(None) => (State::Note, format!("{none}: `make up` gets one")),
        Err(error) => (State::Missing, format!("{error:#}")),
    };
    Finding::new(Way::Native, "PostgreSQL", state, says)
}

fn free(port: u16, variable: &str, what: &'static str) -> Finding {
    match port::must_be_free(port, variable) {
        Ok(()) => Finding::new(Way::Native, what, State::Ok, format!("{port} is free")),
        Err(error) => Finding::new(Way::Native, what, State::Note, error.to_string()),
    }
}

/// A program by what it says to `--version`.
pub(super) fn program(way: Way, name: &'static str, without: State, fix: &str) -> Finding {
    found(way, name, first_line(name, &["--version"]), without, fix)
}

/// What a program said, or how it is got.
pub(super) fn found(
    way: Way,
    what: &'static str,
    said: Option<String>,
    without: State,
    fix: &str,
) -> Finding {
    match said {
        Some(said) => Finding::new(way, what, State::Ok, said),
        None => Finding::new(way, what, without, fix),
    }
}
