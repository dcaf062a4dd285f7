//! `harness report`, `compare` and `score` on files: what they write, print and end with.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use load::record::{
    Attempt, Bottleneck, Latency, Line, Machine, Measured, Pace, Plan, Planned, ResourceUsage, Run,
    SCHEMA, Usage,
};
use load::results::FILE;
use load::scenario::Scenario;

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
        is_ceiling: false,
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
            cores: Some(2),
            kernel: "Linux 6.1.0".to_owned(),
            governor: None,
            memory_bytes: Some(8 << 30),
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
            rates: Vec::new(),
        },
        imported: None,
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
        started_at: Some(AT.to_owned()),
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
        usage: ResourceUsage {
            contender: Usage {
                cpu_secs: Some(cpu_secs),
                ..Usage::default()
            },
            ..ResourceUsage::default()
        },
        bottleneck: Bottleneck::ServerBound,
        warnings: Vec::new(),
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

/// A `results.json` of the public harness's form: two contenders, three attempts of one test.
fn foreign() -> serde_json::Value {
    let attempt = |framework: &str, attempt: u32, cpu: f64| {
        serde_json::json!({"framework": framework, "test": "test1", "attempt": attempt,
            "reqs_per_sec": 10_000.0 + f64::from(attempt), "latency_avg_ms": 10.0,
            "latency_p50_ms": 9.0, "latency_p75_ms": 11.0, "latency_p90_ms": 13.0,
            "latency_p99_ms": 20.0, "failed_rate": 0.0, "total_requests": 100_000, "is_best": false,
            "peak_rss_mb": 80.0, "avg_rss_mb": 70.0, "avg_cpu_pct": cpu, "peak_cpu_pct": cpu + 2.0})
    };
    let attempts = [1, 2, 3]
        .into_iter()
        .flat_map(|round| [attempt("gin", round, 41.0), attempt("jero", round, 97.0)]);
    serde_json::json!({
        "run": {"run_id": "20260814T145537", "created_at": "2026-08-14T14:55:37.575505",
            "hostname": "bench-7", "vus": 100, "duration": "10s", "best_of": 3, "workers": 1,
            "python_server": "granian", "ec2_instance_type": "c9g.2xlarge"},
        "results": attempts.collect::<Vec<_>>()
    })
}

#[test]
fn a_run_of_the_public_harness_is_imported_reported_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("results.json"), foreign().to_string()).unwrap();
    let (file, out) = (path("results.json"), path("out"));
    let output = harness(&["import", &file, "--out", &out]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    assert!(
        printed.contains("Requests per second are the contender's own in 1 of 2 cells"),
        "{printed}"
    );
    assert!(printed.contains("Imported from results.json of RogerThomas/api-benchmarks"));

    let markdown = fs::read_to_string(path("out/report.md")).unwrap();
    // Unknown, and never 0: the cost, its share of the limit, its rank.
    assert!(
        markdown.contains("| – | jero | – | – | 10,002 (10,001 – 10,003) | 1 |"),
        "{markdown}"
    );
    assert!(markdown.contains("| not server-bound |") && markdown.contains("| server-bound |"));
    assert!(markdown.contains("| Memory | not told |"), "{markdown}");
    let csv = fs::read_to_string(path("out/results.csv")).unwrap();
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let header = reader.headers().unwrap().clone();
    let first = reader.records().next().unwrap().unwrap();
    for unknown in [
        "cpu_us_per_request",
        "steal_share",
        "response_bytes",
        "started_at",
    ] {
        let column = header.iter().position(|name| name == unknown).unwrap();
        assert_eq!(&first[column], "", "{unknown}");
    }
    let picture = fs::read_to_string(path("out/chart.svg")).unwrap();
    assert!(picture.contains("Requests per second") && !picture.contains("NaN"));
    let page = fs::read_to_string(path("out/report.html")).unwrap();
    assert!(!page.contains("Who pays for a request"));

    let output = harness(&["compare", &out, &out, "--markdown"]);
    let table = text(&output.stdout);
    assert!(
        table.contains("| jero | info | – |  |  | +0.0 % | -0.0 to +0.0 | noise |"),
        "{table}"
    );
    assert!(table.contains("| gin | info |") && table.contains("not server-bound"));

    let again = harness(&["import", &file, "--out", &out]);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).contains("holds a run already"));
    let resumed = harness(&["bench", "--resume", &out]);
    assert_eq!(resumed.status.code(), Some(2));
    assert!(
        text(&resumed.stderr).contains("was imported"),
        "{}",
        text(&resumed.stderr)
    );
}
