//! `harness chaos` as its user meets it: who bears the faults holds, who does not breaks, and an
//! interrupt leaves nothing behind.

use std::fs;
use std::process::Command;

use glob::glob;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::field::Field;
use crate::stand_in::script;
use crate::suite::{Said, is_alive, said, wait_until};
use crate::{hollow, suite};

impl Field {
    pub(crate) fn chaos_command(&self, arguments: &[&str]) -> Command {
        // A busy machine is no fault of the contender.
        let patient = ["--rate=80", "--recovery=12s"];
        self.harness(&[&["chaos"], arguments, &patient].concat())
    }

    fn chaos(&self, arguments: &[&str]) -> Said {
        said(self.chaos_command(arguments).output().unwrap())
    }

    /// The row of a contender that is wrong without any fault.
    fn breaks_by_itself(&self, name: &str) -> Value {
        let said = self.chaos(&[name, "--duration=500ms", "--out=out", "--faults", "none"]);
        assert_eq!(said.code, Some(1), "{said:?}");
        row(&self.rows(), "none").clone()
    }

    /// The rows of the only contender's report.
    fn rows(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("out/chaos.json")).unwrap();
        let book: Value = serde_json::from_str(&text).unwrap();
        book["contenders"][0]["rows"].as_array().unwrap().clone()
    }
}

fn row<'a>(rows: &'a [Value], fault: &str) -> &'a Value {
    rows.iter().find(|row| row["fault"] == fault).unwrap()
}

/// Asserts that these are all requests, and that the process was looked at.
fn assert_accounted_for<const N: usize>(row: &Value, parts: [&str; N]) {
    let count = |name: &str| row["counts"][name].as_u64().unwrap();
    let parts = parts.map(count);
    assert_eq!(count("sent"), parts.iter().sum::<u64>(), "{row}");
    assert!(
        count("right") > 0 && row["held"]["rss_bytes"].as_u64().unwrap() > 0,
        "{row}"
    );
}

#[test]
fn the_list_names_every_fault_and_a_pattern_chooses_some() {
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
    assert!(none.err.contains("no fault fits"), "{none:?}");
}

#[test]
fn the_target_holds_and_every_request_is_accounted_for() {
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
    assert!(
        said.out.contains("holds under 10 of 10 faults"),
        "{}",
        said.out
    );
    let rows = field.rows();
    for row in &rows {
        assert_accounted_for(row, ["right", "contract_errors", "refused", "broken"]);
    }
    let kinds = &row(&rows, "upstream/status-500")["kinds"];
    assert!(
        kinds["catalog: 502 upstream unavailable"].as_u64().unwrap() > 0,
        "{kinds}"
    );
    assert!(
        row(&rows, "process/stopped")["silence_ms"]
            .as_f64()
            .unwrap()
            >= 450.0
    );
    for name in ["chaos.md", "chaos.html"] {
        let text = fs::read_to_string(field.path("out").join(name)).unwrap();
        assert!(text.contains("process/descriptors"), "{name}");
    }
    assert!(!is_alive(field.pid("honest").unwrap()));
}

#[test]
fn who_answers_an_empty_object_is_wrong_at_once() {
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
    let rows = field.rows();
    let counts = &row(&rows, "none")["counts"];
    assert_eq!(counts["wrong"], counts["sent"]);
    for fault in ["postgres/stopped", "process/stopped"] {
        assert_eq!(row(&rows, fault)["verdict"], "not-applicable");
    }
}

#[test]
fn who_gives_one_the_answer_of_another_is_caught() {
    let row = Field::of(&["mixing-up"]).breaks_by_itself("mixing-up");
    assert!(
        row["kinds"]["users-me: wrong: body: id"].as_u64().unwrap() > 0,
        "{row}"
    );
    assert!(
        row["reasons"].to_string().contains("users-me: wrong"),
        "{row}"
    );
}

#[test]
fn who_dies_is_told_and_the_next_fault_meets_another() {
    let field = Field::of(&["dying"]);
    let said = field.chaos(&[
        "dying",
        "--duration=1s",
        "--out=out",
        "--faults",
        "none,clients/churn",
    ]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let rows = field.rows();
    assert_eq!(rows.len(), 2);
    let reasons = rows.iter().map(|row| row["reasons"].to_string());
    let reasons: String = reasons.collect();
    assert!(reasons.contains("the contender has ended"), "{reasons}");
    assert!(reasons.contains("no connection"), "{reasons}");
}

#[test]
fn a_clock_that_jumps_breaks_who_watches_it_and_not_the_target() {
    let field = Field::of(&["honest", "watching-the-clock"]);
    let faults = ["--duration=2s", "--out=out", "--faults", "process/clock"];
    let said = field.chaos(&[&["honest"], &faults[..]].concat());
    assert_eq!(said.code, Some(0), "{said:?}");
    let held = &field.rows()[0];
    if glob("/usr/lib*/*/faketime/libfaketimeMT.so.1")
        .unwrap()
        .next()
        .is_none()
    {
        assert_eq!(
            held["reasons"][0],
            "libfaketime is missing: apt-get install libfaketime"
        );
        return;
    }
    assert_eq!(held["verdict"], "holds", "{held}");
    assert_eq!(held["counts"]["sent"], held["counts"]["right"], "{held}");
    let said = field.chaos(&[&["watching-the-clock"], &faults[..]].concat());
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(field.rows()[0]["counts"]["wrong"].as_u64().unwrap() > 0);
    // As a static program, which loads nothing.
    field.add("static", &format!("unset LD_PRELOAD; {}", script("honest")));
    field.chaos(&[&["static"], &faults[..]].concat());
    let reason = field.rows()[0]["reasons"][0].as_str().unwrap().to_owned();
    assert!(
        reason.starts_with("its answers do not show another time"),
        "{reason}"
    );
}

#[test]
fn the_upstream_holds_and_is_shown_what_needs_nothing_else() {
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
        said.out
            .contains("holds under 8 of 8 faults; 3 not applicable"),
        "{}",
        said.out
    );
    for row in &field.rows() {
        if row["verdict"] == "not-applicable" {
            let why = match row["fault"].as_str().unwrap() {
                "clients/slow-bodies" => "an upstream is sent no bodies",
                _ => "an upstream depends on nothing",
            };
            assert_eq!(row["reasons"][0], why, "{row}");
            continue;
        }
        assert_accounted_for(row, ["right", "refused", "broken"]);
    }
}

#[test]
fn an_upstream_that_answers_another_thing_to_whatever_key_is_caught() {
    let row = Field::of_upstreams(&["hollow"]).breaks_by_itself("hollow");
    assert_eq!(row["counts"]["wrong"], row["counts"]["sent"], "{row}");
    for kind in [
        "data: wrong: body: other bytes",
        "wrong-key: wrong: status 200",
    ] {
        assert!(row["kinds"][kind].as_u64().unwrap() > 0, "{kind}: {row}");
    }
}

#[test]
fn an_upstream_is_no_contender_elsewhere() {
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
fn an_interrupt_leaves_nothing_running_not_even_what_is_stopped() {
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

/// Whether a process is stopped by a signal.
pub(crate) fn is_stopped(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().unwrap_or_default();
    state.starts_with('T')
}

#[test]
fn a_soak_of_seconds_has_slopes_and_nothing_wrong() {
    let soak = soak(&Field::of(&["honest"]), "honest");
    assert!(soak["postgres_restarts"].as_u64().unwrap() >= 1, "{soak}");
}

#[test]
fn a_soak_of_the_upstream_has_slopes_and_nothing_wrong() {
    let soak = soak(
        &Field::of_upstreams(&["honest-upstream"]),
        "honest-upstream",
    );
    assert_eq!(soak["postgres_restarts"], 0, "{soak}");
    assert!(soak["faults"].as_u64().unwrap() >= 4, "{soak}");
}

/// A soak of seconds, which has slopes and in which nothing is wrong.
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
            soak["broken"].as_array().unwrap().len()
        ),
        (Some(0), 0),
        "{soak}"
    );
    let figures = soak["slopes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|slope| slope["figure"].clone());
    let figures: Vec<_> = figures.collect();
    assert_eq!(
        figures,
        ["memory, MiB", "descriptors", "threads", "p50, ms"]
    );
    soak
}
