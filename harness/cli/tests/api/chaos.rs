//! `harness chaos` and `soak`: which contenders survive, and that nothing is left running.

use std::fs;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::sandbox::{Outcome, Sandbox, end_by, process_state, wait_until};
use crate::server;
use crate::stand_in::script;

impl Sandbox {
    /// Returns `harness chaos` with a load and a recovery time for a busy machine.
    pub(crate) fn chaos(&self, arguments: &[&str]) -> Command {
        let patient = ["--rate=80", "--recovery=12s"];
        self.command(&[&["chaos"], arguments, &patient].concat())
    }

    /// Runs chaos with these faults and returns its rows.
    fn rows(&self, contender: &[&str], duration: &str, faults: &str) -> (Outcome, Vec<Value>) {
        let options = [duration, "--out=out", "--faults", faults];
        let mut chaos = self.chaos(&[contender, &options].concat());
        let chaos = crate::sandbox::outcome(chaos.output().unwrap());
        let text = fs::read_to_string(self.path("out/chaos.json")).unwrap();
        let file: Value = serde_json::from_str(&text).unwrap();
        let rows = file["contenders"][0]["results"].as_array().unwrap().clone();
        (chaos, rows)
    }

    fn add_upstream(&self, role: &str) {
        self.add(role, &script(role), "category = \"upstream\"");
    }
}

fn row<'a>(rows: &'a [Value], fault: &str) -> &'a Value {
    rows.iter().find(|row| row["fault"] == fault).unwrap()
}

/// Fails unless the parts are all requests of the row, and the process was sampled.
fn assert_accounted_for(row: &Value, parts: &[&str]) {
    let count = |name: &str| row["counts"][name].as_u64().unwrap();
    let sum: u64 = parts.iter().copied().map(count).sum();
    assert_eq!(count("sent"), sum, "{row}");
    assert!(count("correct") > 0, "{row}");
    assert!(
        row["peak_usage"]["rss_bytes"].as_u64().unwrap() > 0,
        "{row}"
    );
}

#[test]
fn target_survives_and_every_request_is_accounted_for() {
    let sandbox = Sandbox::new(&["target"]);
    let faults = "none,postgres/terminated,postgres/reset,upstream/status-500,upstream/half-closed,\
                  clients/churn,clients/never-read,process/descriptors,process/killed,process/stopped";
    let (chaos, rows) = sandbox.rows(&["target"], "--duration=500ms", faults);
    assert_eq!(chaos.code, Some(0), "{chaos:?}");
    assert_eq!(rows.len(), 10);
    for row in &rows {
        assert_accounted_for(row, &["correct", "contract_errors", "refused", "broken"]);
    }
    let failures = &row(&rows, "upstream/status-500")["failures"];
    let refused = failures["catalog: 502 upstream unavailable"].as_u64();
    assert!(refused > Some(0), "{failures}");
    let silence = row(&rows, "process/stopped")["silence_ms"].as_f64();
    assert!(silence >= Some(450.0), "{silence:?}");
    for name in ["report.md", "report.html"] {
        let text = fs::read_to_string(sandbox.path("out").join(name)).unwrap();
        assert!(text.contains("process/descriptors"), "{name}");
    }
    sandbox.assert_nothing_runs();
}

#[test]
fn upstream_survives_and_faults_of_its_dependencies_do_not_apply() {
    let sandbox = Sandbox::new(&[]);
    sandbox.add_upstream("upstream");
    let faults = "none,postgres/stopped,upstream/hang,clients/churn,clients/slow-bodies,clients/never-read,\
                  clients/flood,process/descriptors,process/rolling,process/killed,process/stopped";
    let (chaos, rows) = sandbox.rows(&["upstream"], "--duration=500ms", faults);
    assert_eq!(chaos.code, Some(0), "{chaos:?}");
    let (skipped, tried): (Vec<_>, Vec<_>) = rows
        .iter()
        .partition(|row| row["verdict"] == "not-applicable");
    let skipped: Vec<_> = skipped.iter().map(|row| row["fault"].as_str()).collect();
    let expected = ["postgres/stopped", "upstream/hang", "clients/slow-bodies"];
    assert_eq!(skipped, expected.map(Some));
    for row in tried {
        assert_accounted_for(row, &["correct", "refused", "broken"]);
    }
}

#[test]
fn upstreams_are_no_contenders_of_other_commands() {
    let sandbox = Sandbox::new(&[]);
    sandbox.add_upstream("upstream");
    let check = sandbox.run_to(2, &["check", "upstream"]);
    assert!(check.err.contains("is an upstream"), "{check:?}");
    let all = sandbox.run_to(2, &["check", "--all"]);
    assert!(all.err.contains("has no contender"), "{all:?}");
}

#[test]
fn wrong_responses_without_any_fault_are_counted() {
    let sandbox = Sandbox::new(&["mixing-up"]);
    sandbox.add_upstream("hollow");
    let url = format!("http://{}", server::start());
    for (contender, faults, kinds) in [
        (
            &["mixing-up"][..],
            "none",
            &["users-me: wrong: body: id"][..],
        ),
        (
            &["hollow"],
            "none",
            &[
                "data: wrong: body: other bytes",
                "wrong-key: wrong: status 200",
            ],
        ),
        (&["--url", &url], "none,process/stopped", &[]),
    ] {
        let (chaos, rows) = sandbox.rows(contender, "--duration=500ms", faults);
        assert_eq!(chaos.code, Some(1), "{chaos:?}");
        let none = row(&rows, "none");
        assert!(none["counts"]["wrong"].as_u64() > Some(0), "{none}");
        for kind in kinds {
            assert!(none["failures"][kind].as_u64() > Some(0), "{kind}: {none}");
        }
        if contender[0] == "--url" {
            let stopped = row(&rows, "process/stopped");
            assert_eq!(stopped["verdict"], "not-applicable", "{stopped}");
        }
    }
}

#[test]
fn contender_that_exits_is_reported_and_started_again() {
    let sandbox = Sandbox::new(&["dying"]);
    let (chaos, rows) = sandbox.rows(&["dying"], "--duration=1s", "none,clients/churn");
    assert_eq!(chaos.code, Some(1), "{chaos:?}");
    assert_eq!(rows.len(), 2);
    let reasons: String = rows.iter().map(|row| row["reasons"].to_string()).collect();
    assert!(reasons.contains("the contender exited"), "{reasons}");
}

#[test]
fn interrupt_leaves_nothing_running_not_even_a_stopped_process() {
    let sandbox = Sandbox::new(&["target"]);
    let arguments = ["target", "--duration=30s", "--faults=process/stopped"];
    let chaos = sandbox.chaos(&arguments).spawn().unwrap();
    wait_until("the contender is stopped", || {
        sandbox.pid("target").and_then(process_state) == Some('T')
    });
    let chaos = end_by(Signal::INT, chaos);
    assert_eq!(chaos.code, Some(2), "{chaos:?}");
    assert!(chaos.err.contains("interrupted"), "{chaos:?}");
    sandbox.assert_nothing_runs();
}

#[test]
fn soak_of_seconds_has_slopes_and_no_wrong_response() {
    let sandbox = Sandbox::new(&["target"]);
    sandbox.add_upstream("upstream");
    let options = [
        "--duration=14s",
        "--rate=80",
        "--recovery=12s",
        "--json=soak.json",
    ];
    for name in ["target", "upstream"] {
        let ended = sandbox.run(&[&["soak", name], &options[..]].concat());
        let text = fs::read_to_string(sandbox.path("soak.json"));
        let soak: Value = serde_json::from_str(&text.expect(&ended.err)).unwrap();
        assert_eq!(soak["wrong"], 0, "{soak}");
        assert_eq!(soak["failed"], Value::Array(Vec::new()), "{soak}");
        assert_eq!(soak["slopes"].as_array().unwrap().len(), 4, "{soak}");
        let restarts = soak["postgres_restarts"].as_u64().unwrap();
        assert_eq!(restarts > 0, name == "target", "{soak}");
    }
}
