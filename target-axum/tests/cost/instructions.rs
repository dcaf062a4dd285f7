//! Instructions per request, as valgrind's callgrind counts them: of the executable that is measured
//! and shipped, in user space, without its upstream and Postgres, which are other processes.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use load::scenario::Scenario;
use rustix::process::Signal;
use testbed::child::Service;
use testbed::postgres::TemporaryPostgres;

use crate::exchange::{CLIENTS, Client, environment, start_relay, start_upstream};
use crate::table::{Column, hold};

/// What a change may cost before somebody looks at it.
const WITHIN: f64 = 0.02;

/// Requests of the two runs: what the start costs is in both, and cancels out.
const REQUESTS: [u32; 2] = [200, 2200];

/// Longer than the target takes to wait again, slowed down by valgrind.
const PAUSE: Duration = Duration::from_millis(1);

/// For the end of a process that valgrind runs.
const END: Duration = Duration::from_secs(60);

#[test]
#[ignore = "needs valgrind and the release build: `make cost`"]
fn a_request_takes_as_many_instructions_as_the_table_says() {
    let postgres = TemporaryPostgres::start().unwrap();
    let upstream = start_upstream(PAUSE);
    let database = start_relay(postgres.port(), PAUSE);
    let mut figures = BTreeMap::new();
    for clients in CLIENTS {
        for scenario in Scenario::ALL {
            let environment = environment(clients, upstream, database);
            let counts = REQUESTS.map(|requests| count(&environment, scenario, requests));
            let each = (counts[1] - counts[0]) / u64::from(REQUESTS[1] - REQUESTS[0]);
            println!("{scenario}, {clients}: {each} instructions");
            figures.insert((scenario, clients), each);
        }
    }
    hold(Column::Instructions, WITHIN, &figures);
}

/// Instructions of a whole run.
fn count(environment: &[(&str, String)], scenario: Scenario, requests: u32) -> u64 {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = tempfile::tempdir().unwrap();
    let counted = folder.path().join("callgrind.out");
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", counted.display()))
        .arg(root.join("target/release/target-axum"))
        .envs(environment.iter().cloned());
    let mut target = Service::start(&mut command).unwrap();
    Client::connect(target.address(), scenario).ask(requests, PAUSE);
    target.signal(Signal::TERM).unwrap();
    assert!(target.wait_within(END).unwrap().success());
    let counted = fs::read_to_string(counted).unwrap();
    let summary = counted.lines().find_map(|line| {
        line.strip_prefix("summary: ")
            .or(line.strip_prefix("totals: "))
    });
    summary.unwrap().trim().parse().unwrap()
}
