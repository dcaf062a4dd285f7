//! Databases and files of the public harness's form, made here.

use std::fs;

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tempfile::TempDir;

use super::*;

const RUNS: &str = "CREATE TABLE runs (run_id VARCHAR(255) NOT NULL PRIMARY KEY, \
     created_at DATETIME NOT NULL, duration VARCHAR(255) NOT NULL, vus INTEGER NOT NULL, \
     best_of INTEGER NOT NULL, workers INTEGER NOT NULL, python_server VARCHAR(255) NOT NULL, \
     loop VARCHAR(255), hostname VARCHAR(255), ec2_ami_id VARCHAR(255), \
     ec2_instance_type VARCHAR(255), aws_region VARCHAR(255))";
const RESULTS: &str = "CREATE TABLE results (id INTEGER NOT NULL PRIMARY KEY, \
     run_id VARCHAR(255) NOT NULL, framework VARCHAR(255) NOT NULL, test VARCHAR(255) NOT NULL, \
     attempt INTEGER NOT NULL, reqs_per_sec REAL NOT NULL, latency_avg_ms REAL NOT NULL, \
     latency_p50_ms REAL NOT NULL, latency_p75_ms REAL NOT NULL, latency_p90_ms REAL NOT NULL, \
     latency_p99_ms REAL NOT NULL, failed_rate REAL NOT NULL, total_requests INTEGER NOT NULL, \
     is_best INTEGER NOT NULL, peak_rss_mb REAL, avg_rss_mb REAL, avg_cpu_pct REAL, \
     peak_cpu_pct REAL, cpu_spark VARCHAR(255), mem_spark VARCHAR(255))";

fn run_row(id: &str) -> String {
    format!(
        "INSERT INTO runs VALUES ('{id}', '2026-08-14 14:55:37.575505', '10s', 100, 3, 1, \
         'granian', 'uvloop', 'bench-7', NULL, 'c9g.2xlarge', NULL)"
    )
}

/// Of 10,000 requests per second and 10 ms; the last four are the memory and the processor.
fn result_row(run: &str, framework: &str, test: &str, last: &str) -> String {
    format!(
        "INSERT INTO results (run_id, framework, test, attempt, reqs_per_sec, latency_avg_ms, \
         latency_p50_ms, latency_p75_ms, latency_p90_ms, latency_p99_ms, failed_rate, \
         total_requests, is_best, peak_rss_mb, avg_rss_mb, avg_cpu_pct, peak_cpu_pct) VALUES \
         ('{run}', '{framework}', '{test}', 1, 10000, 10.0, 9, 11, 13, 20.5, 0, 100000, 1, {last})"
    )
}

/// A checkout in which a database was filled by these statements.
fn checkout(statements: &[String]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("results")).unwrap();
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join(DATABASE))
        .create_if_missing(true);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut database = options.connect().await.unwrap();
        for statement in statements {
            let statement = sqlx::raw_sql(AssertSqlSafe(statement.clone()));
            statement.execute(&mut database).await.unwrap();
        }
        database.close().await.unwrap();
    });
    folder
}

fn one_run() -> TempDir {
    checkout(&[
        RUNS.to_owned(),
        RESULTS.to_owned(),
        run_row("a"),
        result_row("a", "gin", "test1", "NULL, NULL, 41.5, 49.25"),
        result_row("a", "jero", "test1", "80.5, 74, 96, 101"),
        result_row("a", "jero", "test4", "NULL, NULL, NULL, NULL"),
    ])
}

fn imported(path: &Path, run: Option<&str>) -> (Run, Vec<Attempt>) {
    let lines = read(path, run, vec!["harness".to_owned()]).unwrap();
    let mut lines = lines.into_iter();
    let Some(Line::Run(run)) = lines.next() else {
        unreachable!()
    };
    let attempts = lines.map(|line| match line {
        Line::Attempt(attempt) => *attempt,
        other => unreachable!("{other:?}"),
    });
    (*run, attempts.collect())
}

fn refusal(path: &Path, run: Option<&str>) -> String {
    format!("{:#}", read(path, run, Vec::new()).unwrap_err())
}

#[test]
fn what_a_database_keeps_is_there_and_all_else_is_unknown() {
    let checkout = one_run();
    let (run, attempts) = imported(checkout.path(), None);
    assert_eq!(run.started_at, "2026-08-14T14:55:37Z");
    let names: Vec<_> = run.plan.contenders.iter().map(|one| &one.name).collect();
    assert_eq!(names, ["jero", "gin"], "its own baseline is first");
    assert_eq!(run.plan.scenarios, [Scenario::Info, Scenario::UsersMe]);
    assert_eq!((run.plan.connections, run.plan.rounds), (100, 3));
    assert_eq!((run.machine.cores, run.machine.memory_bytes), (None, None));
    assert_eq!(run.machine.host, "bench-7");
    assert_eq!(run.imported.unwrap().notes["event loop"], "uvloop");

    let jero = &attempts[1];
    assert_eq!(jero.measured.requests, 100_000);
    assert_eq!(jero.measured.seconds, 10.0);
    assert_eq!(jero.measured.latency.p99_ms, 20.5);
    assert_eq!(jero.measured.latency.max_ms, None);
    assert_eq!(jero.truth.contender.rss_peak_bytes, Some(84_410_368));
    assert_eq!(jero.cpu_us_per_request(), None);
    assert_eq!((jero.truth.steal, jero.measured.bytes), (None, None));
    assert!(jero.doubts.is_empty(), "{:?}", jero.doubts);
}

#[test]
fn verdicts_go_as_far_as_its_samples_do() {
    let checkout = one_run();
    let (_, attempts) = imported(checkout.path(), None);
    let verdicts: Vec<_> = attempts.iter().map(|attempt| attempt.verdict).collect();
    use Verdict::{NotServerBound, ServerBound, Unknown};
    assert_eq!(verdicts, [NotServerBound, ServerBound, Unknown]);
}

#[test]
fn of_several_runs_one_is_chosen() {
    let checkout = checkout(&[
        RUNS.to_owned(),
        RESULTS.to_owned(),
        run_row("a"),
        run_row("b"),
        result_row("b", "gin", "test2", "NULL, NULL, NULL, NULL"),
    ]);
    let (run, attempts) = imported(checkout.path(), Some("b"));
    assert_eq!(run.imported.unwrap().run, "b");
    assert_eq!(attempts.len(), 1);
    let several = refusal(checkout.path(), None);
    assert!(
        several.contains("several runs, say which with --run: a, b"),
        "{several}"
    );
    let none = refusal(checkout.path(), Some("c"));
    assert!(none.contains("it has no run c, but a, b"), "{none}");
    let empty = refusal(checkout.path(), Some("a"));
    assert!(empty.contains("run a has no results"), "{empty}");
}

#[test]
fn a_database_of_something_else_is_told_what_was_looked_for() {
    let other = checkout(&["CREATE TABLE users (id TEXT)".to_owned()]);
    let said = refusal(other.path(), None);
    assert!(
        said.contains("no table runs, with the columns run_id, created_at, "),
        "{said}"
    );
    let changed = checkout(&["CREATE TABLE runs (run_id TEXT, vus INTEGER)".to_owned()]);
    let said = refusal(changed.path(), None);
    assert!(
        said.contains("its table runs has not created_at, duration, best_of"),
        "{said}"
    );
    let empty = checkout(&[RUNS.to_owned(), RESULTS.to_owned()]);
    assert!(refusal(empty.path(), None).ends_with("it has no run"));
}

#[test]
fn what_is_no_database_and_no_json_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let none = refusal(folder.path(), None);
    assert!(none.contains("has no results/bench.db"), "{none}");
    let text = folder.path().join("notes.txt");
    fs::write(&text, "no data").unwrap();
    let said = refusal(&text, None);
    assert!(
        said.contains("neither a database of SQLite nor a JSON object"),
        "{said}"
    );
    let broken = folder.path().join("broken.db");
    fs::write(&broken, [SQLITE, b"and then nothing"].concat()).unwrap();
    assert!(refusal(&broken, None).contains("broken.db"));
    let gone = refusal(&folder.path().join("gone.db"), None);
    assert!(gone.contains("gone.db: No such file"), "{gone}");
}

fn results_json() -> Value {
    json!({
        "run": {"run_id": "x", "created_at": "2026-08-17T12:33:30.556844", "hostname": null,
            "vus": 128, "duration": "60s", "best_of": 3, "workers": 1, "python_server": "granian",
            "ec2_ami_id": null, "ec2_instance_type": null, "aws_region": null},
        "results": [{"framework": "gin", "test": "test2", "attempt": 2, "reqs_per_sec": 2000.0,
            "latency_avg_ms": 64.0, "latency_p50_ms": 60.0, "latency_p75_ms": 70.0,
            "latency_p90_ms": 80.0, "latency_p99_ms": 99.0, "failed_rate": 0.01,
            "total_requests": 1000, "is_best": true, "peak_rss_mb": null, "avg_rss_mb": null,
            "avg_cpu_pct": 99.0, "peak_cpu_pct": 100.0, "cpu_spark": "", "mem_spark": ""}]
    })
}

fn file(content: &Value) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    fs::write(&path, content.to_string()).unwrap();
    (folder, path)
}

#[test]
fn a_report_s_json_is_read_and_what_failed_is_no_request() {
    let (_folder, path) = file(&results_json());
    let (run, attempts) = imported(&path, Some("x"));
    assert_eq!(run.machine.host, "unknown");
    let only = &attempts[0];
    assert_eq!((only.scenario, only.round), (Scenario::Movies, 2));
    assert_eq!(only.measured.requests, 990);
    assert_eq!(only.measured.errors["failed"], 10);
    assert_eq!(only.verdict, Verdict::Errors);
}

#[test]
fn the_older_json_has_one_attempt_of_each() {
    let older = json!({
        "timestamp": "20260715T090602", "mode": "docker", "pythonServer": "granian", "vus": 128,
        "duration": "30s", "workers": 1, "bestOf": 3,
        "runs": [{"framework": "gin", "test": "test3", "attempt": 3, "totalRequests": 60_000,
            "failedRate": 0, "reqsPerSec": 2000.0, "latencyMs": {"avg": 64.0, "min": 1.0,
            "med": 60.0, "max": 300.0, "p50": 60.0, "p75": 70.0, "p90": 80.0, "p99": 99.0},
            "avgCpuPct": 98.8, "peakCpuPct": 100.5, "attempts": []}]
    });
    let (_folder, path) = file(&older);
    let (run, attempts) = imported(&path, None);
    assert_eq!(run.started_at, "2026-07-15T09:06:02Z");
    assert_eq!((run.plan.rounds, attempts[0].round), (1, 1));
    assert_eq!(attempts[0].measured.latency.max_ms, Some(300.0));
    assert_eq!(attempts[0].verdict, Verdict::ServerBound);
}

#[test]
fn a_json_file_of_something_else_is_refused_by_what_it_lacks() {
    let (_folder, path) = file(&json!({"rows": []}));
    let said = refusal(&path, None);
    assert!(said.contains("an object with run and results"), "{said}");
    let mut changed = results_json();
    changed["results"][0]["test"] = json!("test5");
    let (_folder, path) = file(&changed);
    assert!(refusal(&path, None).contains("\"test5\" is none of test1 to test4"));
    let (_folder, path) = file(&results_json());
    assert!(refusal(&path, Some("y")).contains("it has no run y, but x"));
}
