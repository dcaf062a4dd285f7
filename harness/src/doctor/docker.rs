//! What containers need, and the kit with them.

use super::native::{found, program};
use super::{Finding, State, Way, version};
use crate::bench::platform::first_line;

/// The first engine, and the first Compose, that know `start_interval` of a health check, which
/// docker-compose.yml has.
const ENGINE_MIN: (u32, u32) = (25, 0);
const COMPOSE_MIN: (u32, u32) = (2, 20);

pub(super) fn findings() -> Vec<Finding> {
    let client = first_line("docker", &["--version"]);
    let engine = first_line("docker", &["version", "--format", "{{.Server.Version}}"]);
    let fix = match client {
        Some(_) => {
            "no engine answers: start it, or let this user talk to it (`docker info` says why)"
        }
        None => "install Docker, https://docs.docker.com/engine/install",
    };
    let compose = first_line("docker", &["compose", "version", "--short"]);
    vec![
        at_least("engine", engine, ENGINE_MIN, fix),
        at_least(
            "Compose",
            compose,
            COMPOSE_MIN,
            "install the plug-in, for example `apt install docker-compose-plugin`",
        ),
    ]
}

fn at_least(what: &'static str, said: Option<String>, least: (u32, u32), fix: &str) -> Finding {
    let (major, minor) = least;
    match said {
        Some(said) if version(&said).is_some_and(|found| found < least) => Finding::new(
            Way::Docker,
            what,
            State::Missing,
            format!("{said} is too old: docker-compose.yml needs {major}.{minor} or newer"),
        ),
        said => found(Way::Docker, what, said, State::Missing, fix),
    }
}

/// What our contender needs in a checkout of the public harness.
pub(super) fn kit() -> Vec<Finding> {
    let task = "install it from https://taskfile.dev: its command is `task bench`";
    let uv = "install it from https://docs.astral.sh/uv: `task bench` runs by it";
    let git = "install it, for example with `apt install git`: a patch is applied by it";
    let mut kit = vec![
        program(Way::Kit, "git", State::Missing, git),
        program(Way::Kit, "task", State::Note, task),
        program(Way::Kit, "uv", State::Note, uv),
    ];
    kit.extend(findings().into_iter().map(|finding| Finding {
        way: Way::Kit,
        ..finding
    }));
    kit
}
