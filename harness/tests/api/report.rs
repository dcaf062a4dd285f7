//! `harness report`, `compare` and `score` on files: what they write, print and end with.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use harness::bench::record::{
    Attempt, Latency, Line, Machine, Measured, Pace, Plan, Planned, Run, SCHEMA, Truth, Usage,
    Verdict,
};
use harness::bench::results::FILE;
use harness::bench::scenario::Scenario;

const AT: &str = "2026-11-20T09:30:00Z";
const PUBLISHED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/data/published-results.json"
);

fn harness(arguments: &[&str]) -> Output {
    let mut harness = Command::new(env!("CARGO_BIN_EXE_harness"));
    harness.args(arguments).output().unwrap()
}

fn text(output: &[u8]) -> String {
    String::from_utf8(output.to_vec()).unwrap()
}

/// A folder with a run of two contenders, three rounds of `info`, at these processor seconds each
/// for 10,000 requests.
fn run_at(cpu_secs: [f64; 2]) -> tempfile::TempDir {
    let names = ["one", "two"];
    let contenders = names.map(|name| Planned {
        name: name.to_owned(),
        made_of: "Rust".to_owned(),
        is_limit: false,
        in_container: false,
        deviations: BTreeMap::new(),
    });
    let mut lines = vec![Line::Run(Box::new(Run {
        schema: SCHEMA,
        started_at: AT.to_owned(),
        command: vec!["harness".to_owned(), "bench".to_owned()],
        commit: None,
        machine: Machine {
            host: "bench-1".to_owned(),
            cpu: "A processor".to_owned(),
            cores: 2,
            kernel: "Linux 6.1.0".to_owned(),
            governor: None,
            memory_bytes: 8 << 30,
            virtualisation: None,
        },
        versions: BTreeMap::new(),
        plan: Plan {
            contenders: contenders.to_vec(),
            scenarios: vec![Scenario::Info],
            rounds: 3,
            duration_secs: 1.0,
            warmup_secs: 0.0,
            connections: 100,
            workers: 1,
            contender_cpus: vec![0],
            other_cpus: vec![1],
            engine: "wrk".to_owned(),
            upstream_delay_ms: 0.0,
            rates: Vec::new(),
        },
    }))];
    for round in 1..=3 {
        for (name, cpu_secs) in names.iter().zip(cpu_secs) {
            lines.push(Line::Attempt(Box::new(attempt(name, round, cpu_secs))));
        }
    }
    lines.push(Line::End { at: AT.to_owned() });
    let lines = lines
        .iter()
        .map(|line| serde_json::to_string(line).unwrap() + "\n");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(FILE), lines.collect::<String>()).unwrap();
    folder
}

fn attempt(contender: &str, round: u32, cpu_secs: f64) -> Attempt {
    Attempt {
        contender: contender.to_owned(),
        scenario: Scenario::Info,
        round,
        pace: Pace::Closed,
        started_at: AT.to_owned(),
        measured: Measured {
            seconds: 1.0,
            requests: 10_000,
            latency: Latency {
                mean_ms: 10.0,
                p99_ms: 20.0,
                ..Latency::default()
            },
            ..Measured::default()
        },
        truth: Truth {
            contender: Usage {
                cpu_secs,
                ..Usage::default()
            },
            ..Truth::default()
        },
        verdict: Verdict::ServerBound,
        doubts: Vec::new(),
    }
}

#[test]
fn report_writes_four_files_and_prints_who_costs_least() {
    let run = run_at([0.9, 0.6]);
    let folder = run.path().to_str().unwrap();
    let output = harness(&["report", folder]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let mut names: Vec<_> = fs::read_dir(run.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["chart.svg", "report.html", "report.md", "results.csv", FILE]
    );
    let printed = text(&output.stdout);
    assert!(
        printed.contains("Least processor time per request: two in info.\n"),
        "{printed}"
    );
    assert!(
        !printed.contains('\u{1b}'),
        "no colours where there is no terminal"
    );
}

#[test]
fn report_as_json_writes_no_file() {
    let run = run_at([0.9, 0.6]);
    let output = harness(&["report", run.path().to_str().unwrap(), "--json"]);
    let standings: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let first = &standings["scenarios"][0]["cells"][0];
    assert_eq!(first["contender"]["name"], "two");
    assert_eq!(first["cpu_us_per_request"]["median"], 60.0);
    assert_eq!(fs::read_dir(run.path()).unwrap().count(), 1);
}

#[test]
fn a_folder_without_results_cannot_be_reported() {
    let empty = tempfile::tempdir().unwrap();
    let output = harness(&["report", empty.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("results.jsonl"), "{output:?}");
}

#[test]
fn compare_says_what_is_real() {
    let (before, after) = (run_at([0.9, 0.6]), run_at([0.9, 0.3]));
    let paths = [&before, &after].map(|run| run.path().to_str().unwrap());
    let output = harness(&["compare", paths[0], paths[1], "--markdown"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    assert!(
        table.contains("| one | info | +0.0 % | +0.0 to +0.0 | noise |"),
        "{table}"
    );
    assert!(
        table.contains("| two | info | -50.0 % | -50.0 to -50.0 | **real** |"),
        "{table}"
    );
}

#[test]
fn score_takes_a_run_too() {
    let run = run_at([0.9, 0.6]);
    let output = harness(&[
        "score",
        run.path().to_str().unwrap(),
        "--baseline",
        "two",
        "--json",
    ]);
    let scores: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(scores["baseline"], "two");
    assert_eq!(scores["scenarios"][0][1][0]["vs_all"], 1.0);
}

#[test]
fn score_reproduces_all_published_rows() {
    let output = harness(&["score", PUBLISHED]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    assert!(
        printed.contains("32 of 32 published scores follow"),
        "{printed}"
    );
}

#[test]
fn score_ends_with_1_for_a_row_that_does_not_follow_and_with_2_for_no_table() {
    let folder = tempfile::tempdir().unwrap();
    let (changed, broken) = (
        folder.path().join("changed.json"),
        folder.path().join("broken.json"),
    );
    let published = fs::read_to_string(Path::new(PUBLISHED)).unwrap();
    fs::write(
        &changed,
        published.replacen("\"vs_all\": 0.97", "\"vs_all\": 1.97", 1),
    )
    .unwrap();
    fs::write(&broken, "{}").unwrap();
    let output = harness(&["score", changed.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("DOES NOT FOLLOW"));
    assert_eq!(
        harness(&["score", broken.to_str().unwrap()]).status.code(),
        Some(2)
    );
}
