//! Compares the output of the `harness` binary with the files of `files/`.
//!
//! `UPDATE_GOLDEN=1 cargo test --test golden` writes them. `run` and `later` are recorded runs, cut
//! down from a real one.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod golden;
#[path = "../api/server.rs"]
mod server;

use std::fs;

use golden::Harness;

const COMMANDS: [&str; 15] = [
    "up", "down", "status", "logs", "check", "bench", "chaos", "soak", "report", "compare", "k6",
    "kit", "contract", "token", "urls",
];

#[test]
fn help_of_every_command() {
    let harness = Harness::new();
    harness.compare("help/harness.txt", &harness.run(&["--help"]));
    for command in COMMANDS {
        let help = harness.run(&[command, "--help"]);
        harness.compare(&format!("help/{command}.txt"), &help);
    }
}

#[test]
fn report_of_a_recorded_run() {
    let harness = Harness::new();
    harness.compare("report/table.txt", &harness.run(&["report", "run"]));
    for name in ["report.md", "results.csv"] {
        harness.compare(&format!("report/{name}"), &harness.read("run", name));
    }
    for name in ["report.html", "chart.svg"] {
        assert!(harness.read("run", name).contains("axum"), "{name}");
    }
    let other_baseline = harness.run(&["report", "later", "--baseline", "gin"]);
    harness.compare("report/baseline.txt", &other_baseline);
}

#[test]
fn comparison_of_two_recorded_runs() {
    let harness = Harness::new();
    for (name, option) in [
        ("table", None),
        ("markdown", Some("--markdown")),
        ("json", Some("--json")),
    ] {
        let arguments = ["compare", "run", "later"].into_iter().chain(option);
        let shown = harness.run(&arguments.collect::<Vec<_>>());
        harness.compare(&format!("compare/{name}.txt"), &shown);
    }
}

#[test]
fn commands_that_need_nothing_running() {
    let harness = Harness::new();
    for (name, arguments) in [
        ("checks", &["contract", "checks"][..]),
        ("check-list", &["check", "--list", "--only", "info/*"]),
        ("fault-list", &["chaos", "--list"]),
        ("token", &["token"]),
        (
            "token-of-another-user",
            &["token", "--sub", "user-7", "--name", "Grace", "--exp", "-5"],
        ),
        ("urls", &["urls", "--postgres-port", "5432"]),
        ("status", &["status"]),
        ("down", &["down"]),
        ("k6", &["k6", "scripts", "--users", "2"]),
    ] {
        harness.compare(&format!("{name}.txt"), &harness.run(arguments));
    }
}

#[test]
fn check_of_a_server_that_answers_an_empty_object() {
    let harness = Harness::new();
    let checks = ["info/200", "info/content-type", "catalog/one-call"];
    let check = |options: &[&str]| {
        let only = checks.iter().flat_map(|check| ["--only", check]);
        let chosen = ["check", "--url", &harness.url].into_iter().chain(only);
        harness.run(&chosen.chain(options.iter().copied()).collect::<Vec<_>>())
    };
    harness.compare("check/text.txt", &check(&[]));
    harness.compare("check/verbose.txt", &check(&["--verbose", "--level=core"]));
    let formats = ["--json=c.json", "--junit=c.xml", "--markdown=c.md"];
    harness.compare("check/files.txt", &check(&formats));
    for name in ["c.json", "c.xml", "c.md"] {
        harness.compare(&format!("check/{name}"), &harness.read(".", name));
    }
}

#[test]
fn errors_and_exit_codes_of_wrong_input() {
    let harness = Harness::new();
    fs::write(harness.path("broken.toml"), "[axum]\nlanguage = 1\n").unwrap();
    fs::create_dir(harness.path("empty")).unwrap();
    let one = "[one]\nlanguage = \"L\"\nframework = \"F\"\ncommand = \"exec false\"\n";
    fs::write(harness.path("one.toml"), one).unwrap();
    let wrong = [
        "",
        "no-such-command",
        "up --target-port 0",
        "up --upstream-port 65536",
        "down --no-such-option",
        "status extra",
        "logs",
        "logs no-such-service",
        "check",
        "check no-such-name --contenders one.toml",
        "check axum --contenders broken.toml",
        "check --url https://127.0.0.1",
        "check --url http://127.0.0.1:1",
        "check --url http://127.0.0.1:1 axum",
        "check --list --only [",
        "check --list --only no/such",
        "check axum --level no-such-level",
        "check axum --build-only --containers",
        "check axum --api-benchmarks empty",
        "bench",
        "bench no-such-name --contenders one.toml",
        "bench axum --scenarios no-such-scenario",
        "bench axum --engine no-such-engine",
        "bench axum --rate fast",
        "bench axum --duration 0s",
        "bench axum --duration ten",
        "soak axum --duration 0s",
        "bench axum --connections 0",
        "bench axum --workers 0",
        "bench axum --cpus 0",
        "bench axum --rounds 0 --contenders one.toml",
        "bench one --connections 9000000 --contenders one.toml",
        "bench --resume empty",
        "bench --resume run --quick",
        "chaos no-such-name --contenders one.toml",
        "chaos --url http://127.0.0.1:1",
        "chaos axum --faults no-such-fault",
        "soak no-such-name --contenders one.toml",
        "soak axum --rate 0",
        "report",
        "report no-such-folder",
        "report empty",
        "report run --baseline no-such-name",
        "compare run",
        "compare run empty",
        "k6",
        "k6 scripts --users 0",
        "kit",
        "kit empty",
        "contract no-such-part",
        "token --exp tomorrow",
        "urls --target-port x",
    ];
    let mut shown = String::new();
    for line in wrong {
        shown += &harness.run(&line.split_whitespace().collect::<Vec<_>>());
    }
    let unreachable = ["--database-url", "postgres://127.0.0.1:1/a"];
    let check = ["check", "--url", &harness.url];
    shown += &harness.run(&[&check[..], &unreachable].concat());
    let k6 = ["bench", "one", "--engine=k6", "--contenders=one.toml"];
    shown += &harness.run_with(&k6, &[("PATH", "/nowhere")]);
    shown += &harness.run_with(&["token"], &[("JWT_SECRET", "")]);
    shown += &harness.run_with(&["token"], &[("JWT_SECRET", "another")]);
    harness.compare("errors.txt", &shown);
}
