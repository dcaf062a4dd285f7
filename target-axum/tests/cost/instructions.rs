//! Instructions per request, counted by valgrind's callgrind: of the release executable, in user space,
//! without the upstream and Postgres, which are other processes.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use testbed::child::Service;
use testbed::postgres::TemporaryPostgres;

use crate::exchange::{Client, PROFILES, SCENARIOS, environment, start_relay, start_upstream};
use crate::expected::{Costs, Unit, compare};

/// The tolerance: what repeated runs differ by on a busy machine.
const WITHIN: f64 = 0.01;

/// Requests of the two runs of a measurement: the cost of the start cancels out.
const REQUESTS: [u32; 2] = [200, 2200];

/// Longer than the target takes until it waits again, slowed down by valgrind.
const PAUSE: Duration = Duration::from_millis(1);

/// Time for the end of a process under valgrind.
const END: Duration = Duration::from_secs(60);

#[test]
#[ignore = "needs valgrind and the release build; see docs/PERFORMANCE.md"]
fn request_takes_as_many_instructions_as_expected() {
    let postgres = TemporaryPostgres::start().unwrap();
    let upstream = start_upstream(PAUSE);
    let database = start_relay(postgres.port(), PAUSE);
    let mut costs = Costs::new();
    for profile in PROFILES {
        for scenario in SCENARIOS {
            let environment = environment(profile, upstream, database);
            let counts = REQUESTS.map(|requests| count(&environment, scenario, requests));
            let each = (counts[1] - counts[0]) / u64::from(REQUESTS[1] - REQUESTS[0]);
            costs.insert((scenario, profile), each);
        }
    }
    compare(Unit::Instructions, WITHIN, &costs);
}

/// Returns the instructions of a whole run.
fn count(environment: &[(&str, String)], scenario: &str, requests: u32) -> u64 {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("callgrind.out");
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", output.display()))
        .arg(root.join("target/release/target-axum"))
        .envs(environment.iter().cloned());
    let mut target = Service::start(&mut command).unwrap();
    Client::connect(target.address(), scenario).ask(requests, PAUSE);
    target.signal(Signal::TERM).unwrap();
    assert!(target.wait_within(END).unwrap().success());
    let output = fs::read_to_string(output).unwrap();
    let summary = output.lines().find_map(|line| {
        line.strip_prefix("summary: ")
            .or(line.strip_prefix("totals: "))
    });
    summary.unwrap().trim().parse().unwrap()
}
