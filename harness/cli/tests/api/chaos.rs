//! `harness chaos` and `harness soak` as black boxes.

use std::fs;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::field::Field;
use crate::suite::{Said, is_alive, said, wait_until};
use crate::{hollow, suite};

impl Field {
    pub(crate) fn chaos_command(&self, arguments: &[&str]) -> Command {
        // Recovery takes longer on a busy machine.
        let patient = ["--rate=80", "--recovery=12s"];
        self.harness(&[&["chaos"], arguments, &patient].concat())
    }

    fn chaos(&self, arguments: &[&str]) -> Said {
        said(self.chaos_command(arguments).output().unwrap())
    }

    /// Runs the baseline, which must fail, and returns its result.
    fn failed_baseline(&self, name: &str) -> Value {
        let said = self.chaos(&[name, "--duration=500ms", "--out=out", "--faults", "none"]);
        assert_eq!(said.code, Some(1), "{said:?}");
        result(&self.fault_results(), "none").clone()
    }

    /// Returns the results of the only contender.
    fn fault_results(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("out/chaos.json")).unwrap();
        let file: Value = serde_json::from_str(&text).unwrap();
        file["contenders"][0]["results"].as_array().unwrap().clone()
    }
}

fn result<'a>(results: &'a [Value], fault: &str) -> &'a Value {
    let mut results = results.iter();
    results.find(|result| result["fault"] == fault).unwrap()
}

/// Asserts that every request has one of these outcomes, and that the process was monitored.
fn assert_accounted_for<const N: usize>(result: &Value, parts: [&str; N]) {
    let count = |name: &str| result["counts"][name].as_u64().unwrap();
    let parts = parts.map(count);
    assert_eq!(count("sent"), parts.iter().sum::<u64>(), "{result}");
    assert!(
        count("correct") > 0 && result["peak_usage"]["rss_bytes"].as_u64().unwrap() > 0,
        "{result}"
    );
}

#[test]
fn faults_are_listed_and_selected_by_pattern() {
    let field = Field::of(&[]);
    let all = field.chaos(&["--list"]);
    assert_eq!(all.code, Some(0), "{all:?}");
    for slug in [
        "none",
        "postgres/black-hole",
        "upstream/huge",
        "clients/idle",
        "process/rolling",
    ] {
        assert!(all.out.contains(slug), "{slug}");
    }
    let some = field
        .chaos(&["--list", "--faults", "process/k*,clients/churn"])
        .out;
    let slugs = some
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().next());
    assert_eq!(
        slugs.collect::<Vec<_>>(),
        ["clients/churn", "process/killed"]
    );
    let none = field.chaos(&["honest", "--faults", "no/such"]);
    assert_eq!(none.code, Some(2));
    assert!(none.err.contains("no fault matches"), "{none:?}");
}

#[test]
fn target_passes_and_every_request_is_accounted_for() {
    let field = Field::of(&["honest"]);
    let faults = "none,postgres/terminated,postgres/reset,upstream/status-500,upstream/half-closed,\
                  clients/churn,clients/never-read,process/descriptors,process/killed,process/stopped";
    let said = field.chaos(&[
        "honest",
        "--duration=500ms",
        "--out=out",
        "--faults",
        faults,
    ]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("passed 10 of 10 faults"), "{}", said.out);
    let results = field.fault_results();
    for result in &results {
        assert_accounted_for(result, ["correct", "contract_errors", "refused", "broken"]);
    }
    let failures = &result(&results, "upstream/status-500")["failures"];
    assert!(
        failures["catalog: 502 upstream unavailable"]
            .as_u64()
            .unwrap()
            > 0,
        "{failures}"
    );
    assert!(
        result(&results, "process/stopped")["silence_ms"]
            .as_f64()
            .unwrap()
            >= 450.0
    );
    for name in ["report.md", "report.html"] {
        let text = fs::read_to_string(field.path("out").join(name)).unwrap();
        assert!(text.contains("process/descriptors"), "{name}");
    }
    assert!(!is_alive(field.pid("honest").unwrap()));
}

#[test]
fn empty_object_is_wrong_and_unavailable_faults_do_not_apply() {
    let field = Field::of(&[]);
    let url = format!("http://{}", hollow::start());
    let said = field.chaos(&[
        "--url",
        &url,
        "--duration=300ms",
        "--out=out",
        "--faults",
        "none,p*/stopped",
    ]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let results = field.fault_results();
    let counts = &result(&results, "none")["counts"];
    assert_eq!(counts["wrong"], counts["sent"]);
    for fault in ["postgres/stopped", "process/stopped"] {
        assert_eq!(result(&results, fault)["verdict"], "not-applicable");
    }
}

#[test]
fn mixed_up_responses_fail_the_baseline() {
    let result = Field::of(&["mixing-up"]).failed_baseline("mixing-up");
    assert!(
        result["failures"]["users-me: wrong: body: id"]
            .as_u64()
            .unwrap()
            > 0,
        "{result}"
    );
    assert!(
        result["reasons"].to_string().contains("users-me: wrong"),
        "{result}"
    );
}

#[test]
fn exited_contender_is_reported_and_started_again() {
    let field = Field::of(&["dying"]);
    let said = field.chaos(&[
        "dying",
        "--duration=1s",
        "--out=out",
        "--faults",
        "none,clients/churn",
    ]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let results = field.fault_results();
    assert_eq!(results.len(), 2);
    let reasons = results.iter().map(|result| result["reasons"].to_string());
    let reasons: String = reasons.collect();
    assert!(reasons.contains("the contender exited"), "{reasons}");
    assert!(reasons.contains("connection refused"), "{reasons}");
}

#[test]
fn upstream_passes_the_faults_that_apply_to_it() {
    let field = Field::of_upstreams(&["honest-upstream"]);
    let faults = "none,postgres/stopped,upstream/hang,clients/churn,clients/slow-bodies,clients/never-read,\
                  clients/flood,process/descriptors,process/rolling,process/killed,process/stopped";
    let said = field.chaos(&[
        "honest-upstream",
        "--duration=500ms",
        "--out=out",
        "--faults",
        faults,
    ]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.out.contains("passed 8 of 8 faults; 3 not applicable"),
        "{}",
        said.out
    );
    for result in &field.fault_results() {
        if result["verdict"] == "not-applicable" {
            let why = match result["fault"].as_str().unwrap() {
                "clients/slow-bodies" => "an upstream takes no request bodies",
                _ => "an upstream has no dependencies",
            };
            assert_eq!(result["reasons"][0], why, "{result}");
            continue;
        }
        assert_accounted_for(result, ["correct", "refused", "broken"]);
    }
}

#[test]
fn wrong_upstream_fails_the_baseline() {
    let result = Field::of_upstreams(&["hollow"]).failed_baseline("hollow");
    assert_eq!(
        result["counts"]["wrong"], result["counts"]["sent"],
        "{result}"
    );
    for kind in [
        "data: wrong: body: other bytes",
        "wrong-key: wrong: status 200",
    ] {
        assert!(
            result["failures"][kind].as_u64().unwrap() > 0,
            "{kind}: {result}"
        );
    }
}

#[test]
fn upstream_is_refused_by_check() {
    let field = Field::of_upstreams(&["honest-upstream"]);
    let refused = said(
        field
            .harness(&["check", "honest-upstream"])
            .output()
            .unwrap(),
    );
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.contains("is an upstream"), "{refused:?}");
    let of_all = said(field.harness(&["check", "--all"]).output().unwrap());
    assert_eq!(of_all.code, Some(2), "{of_all:?}");
    assert!(of_all.err.contains("has no contender"), "{of_all:?}");
}

#[test]
fn interrupt_ends_a_suspended_contender() {
    let field = Field::of(&["honest"]);
    let arguments = ["honest", "--duration=30s", "--faults=process/stopped"];
    let harness = field.chaos_command(&arguments).spawn().unwrap();
    wait_until("the contender", || field.pid("honest").is_some());
    let contender = field.pid("honest").unwrap();
    wait_until("the contender is stopped", || is_stopped(contender));
    let pid = i32::try_from(harness.id()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::INT).unwrap();
    let said = said(harness.wait_with_output().unwrap());
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.contains("interrupted"), "{said:?}");
    suite::wait_until("the contender is gone", || !is_alive(contender));
}

/// Returns true if a process is suspended by a signal.
pub(crate) fn is_stopped(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().unwrap_or_default();
    state.starts_with('T')
}

#[test]
fn short_soak_of_the_target_has_slopes() {
    let soak = soak(&Field::of(&["honest"]), "honest");
    assert!(soak["postgres_restarts"].as_u64().unwrap() >= 1, "{soak}");
}

#[test]
fn short_soak_of_the_upstream_has_slopes() {
    let soak = soak(
        &Field::of_upstreams(&["honest-upstream"]),
        "honest-upstream",
    );
    assert_eq!(soak["postgres_restarts"], 0, "{soak}");
    assert!(soak["faults"].as_u64().unwrap() >= 4, "{soak}");
}

/// Soaks for seconds; asserts that nothing was wrong and that all metrics have slopes.
fn soak(field: &Field, contender: &str) -> Value {
    let soak = field
        .harness(&[
            "soak",
            contender,
            "--duration=14s",
            "--rate=80",
            "--recovery=12s",
            "--json=soak.json",
        ])
        .output();
    let said = said(soak.unwrap());
    assert!(said.out.contains("0 wrong"), "{said:?}");
    let text = fs::read_to_string(field.path("soak.json")).unwrap();
    let soak: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (
            soak["wrong"].as_u64(),
            soak["failed"].as_array().unwrap().len()
        ),
        (Some(0), 0),
        "{soak}"
    );
    let metrics = soak["slopes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|slope| slope["metric"].clone());
    let metrics: Vec<_> = metrics.collect();
    assert_eq!(
        metrics,
        ["memory, MiB", "descriptors", "threads", "p50, ms"]
    );
    soak
}
