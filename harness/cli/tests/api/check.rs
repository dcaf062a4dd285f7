//! `harness check`: how contenders are chosen, built, started and reported.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use crate::sandbox::{Sandbox, end_by, free_port, outcome, wait_until};
use crate::server;
use crate::stand_in::script;

#[test]
fn sent_line_of_a_failure_repeats_the_request() {
    let sandbox = Sandbox::new(&[]);
    let url = format!("http://{}", server::start());
    let check = sandbox.run_to(1, &["check", "--url", &url, "--level", "core"]);
    let sent = check
        .out
        .lines()
        .find_map(|line| line.trim().strip_prefix("sent "));
    let curl = format!("{} --silent", sent.unwrap());
    let curl = outcome(Command::new("sh").args(["-c", &curl]).output().unwrap());
    assert!(curl.out.starts_with("HTTP/1.1 200 OK"), "{curl:?}");
    assert!(curl.out.ends_with("{}"), "{curl:?}");
}

#[test]
fn checks_without_upstream_and_database_are_not_checked() {
    let sandbox = Sandbox::new(&[]);
    let url = format!("http://{}", server::start());
    let only = [
        "--only",
        "catalog/one-call",
        "--only",
        "users-me/row",
        "--json",
    ];
    let check = sandbox.run_to(0, &[&["check", "--url", &url], &only[..]].concat());
    let reports: Value = serde_json::from_str(&check.out).unwrap();
    for (index, option) in ["--upstream-port", "--database-url"].iter().enumerate() {
        let row = &reports[0]["checks"][index];
        assert_eq!(row["outcome"], "not-checked", "{row}");
        assert!(row["why"].as_str().unwrap().contains(option), "{row}");
    }
}

/// The harness is the contender's upstream and Postgres, so the contender starts after it.
#[test]
fn restarted_contender_is_checked_again_and_what_changed_is_shown() {
    let sandbox = Sandbox::new(&[]);
    let postgres_port = free_port();
    let url = format!("http://127.0.0.1:{}", sandbox.target_port);
    let check = [
        &format!("--url={url}"),
        &format!("--upstream-port={}", sandbox.upstream_port),
        &format!("--postgres-port={postgres_port}"),
        "--only=catalog/one-call",
        "--only=users-me/row",
        "--watch",
    ];
    let shown = sandbox.path("shown");
    let harness = sandbox
        .command(&[&["check"], &check[..]].concat())
        .stdout(File::create(&shown).unwrap())
        .spawn()
        .unwrap();
    let shows = |text: &str| {
        wait_until(text, || fs::read_to_string(&shown).unwrap().contains(text));
    };
    let start = |role: &str| -> Child {
        let bench = schema::env::BENCH_ENV.lines();
        let mut contender = Command::new("/bin/sh");
        contender
            .args(["-c", &script(role)])
            .envs(bench.filter_map(|line| line.split_once('=')))
            .env("HOST", "127.0.0.1")
            .env("PORT", sandbox.target_port.to_string())
            .env("DB_HOST", "127.0.0.1")
            .env("DB_PORT", postgres_port.to_string())
            .env(
                "UPSTREAM_URL",
                format!("http://127.0.0.1:{}", sandbox.upstream_port),
            );
        contender.stdout(Stdio::null()).spawn().unwrap()
    };
    let hollow = start("hollow");
    shows("does not pass level work");
    end_by(Signal::KILL, hollow);
    let target = start("target");
    shows("FAILED -> passed users-me/row");
    shows("0 of 2 checks fail");
    end_by(Signal::INT, harness);
    end_by(Signal::KILL, target);
}

#[test]
fn secrets_of_the_user_and_their_tokens_are_hidden() {
    let sandbox = Sandbox::new(&[]);
    let url = format!("http://{}", server::start());
    let secrets = [
        ("JWT_SECRET", "a-secret-of-my-own"),
        ("UPSTREAM_API_KEY", "a-key-of-my-own"),
    ];
    let check = [
        "check",
        "--url",
        &url,
        "--level",
        "work",
        "--verbose",
        "--json",
    ];
    let check = outcome(sandbox.command(&check).envs(secrets).output().unwrap());
    let all = check.out + &check.err;
    assert!(all.contains("Bearer <hidden>"));
    assert!(!all.contains("eyJ"));
    for (name, secret) in secrets {
        assert!(!all.contains(secret), "{name}");
    }
}

#[test]
fn ceiling_fails_by_design_and_is_skipped_by_all() {
    let sandbox = Sandbox::new(&[]);
    sandbox.add("mine", &script("hollow"), "category = \"ceiling\"");
    let formats = ["--json=json", "--junit=junit", "--markdown=markdown"];
    let check = [&["check", "mine", "--only", "info/200"], &formats[..]].concat();
    let check = sandbox.run_to(1, &check);
    let read = |name| fs::read_to_string(sandbox.path(name)).unwrap();
    let reports: Value = serde_json::from_str(&read("json")).unwrap();
    assert_eq!(reports[0]["category"], "ceiling");
    for text in [check.out, read("junit"), read("markdown")] {
        assert!(text.contains("mine fails by design"), "{text}");
    }
    let all = sandbox.run_to(2, &["check", "--all"]);
    assert!(all.err.contains("mine is skipped"), "{all:?}");
}

#[test]
fn contender_that_does_not_start_is_shown_with_its_output() {
    let sandbox = Sandbox::new(&[]);
    sandbox.add("ends", "echo no luck today; exit 3", "");
    sandbox.add("unbuilt", "exec true", "build = 'echo building; false'");
    for (name, phrase) in [
        ("ends", "no luck today"),
        ("unbuilt", "`echo building; false` failed"),
    ] {
        let check = sandbox.run_to(2, &["check", name]);
        assert!(check.err.contains(phrase), "{check:?}");
    }
}

#[test]
fn build_only_builds_every_contender_and_names_what_is_missing() {
    let sandbox = Sandbox::new(&[]);
    for (name, more) in [
        ("a", "build = 'echo no luck today; false'"),
        (
            "b",
            "needs = { no-such-program = 'get it there' }\nbuild = 'touch b'",
        ),
        ("c", "folder = 'nowhere'"),
        ("d", "needs = { sh = 'not shown' }\nbuild = 'touch d.built'"),
    ] {
        sandbox.add(name, "exec false", more);
    }
    for command in [
        &["check", "--all", "--build-only"][..],
        &["bench", "--build-only"],
    ] {
        let build = sandbox.run_to(1, command);
        assert!(build.err.contains("no luck today"), "{build:?}");
        for phrase in [
            "a: not ready: ",
            "b: not ready: no-such-program is missing: get it there",
            "c: not ready: there is no folder",
            "d: ready",
        ] {
            assert!(build.out.contains(phrase), "{phrase} in {}", build.out);
        }
        fs::remove_file(sandbox.path("d.built")).unwrap();
        assert!(!sandbox.path("b").exists());
    }
}

#[test]
fn contender_of_a_checkout_is_built_and_checked_by_its_definition() {
    let sandbox = Sandbox::new(&["hollow"]);
    let definition = "[gin]\nlanguage = \"Go\"\nframework = \"gin\"\nfolder = \"gin\"\n\
                      build = \"cp ../server server\"\ncommand = \"exec ./server\"\n";
    fs::write(sandbox.path("contenders.api-benchmarks.toml"), definition).unwrap();
    fs::create_dir_all(sandbox.path("checkout/gin")).unwrap();
    fs::write(sandbox.path("checkout/compose.base.yml"), "services: {}\n").unwrap();
    let compose = "services:\n  gin:\n    build: .\n  runner: {}\n";
    fs::write(sandbox.path("checkout/compose.gin.yml"), compose).unwrap();
    sandbox.install("checkout/server", &script("hollow"));
    let check = [
        "check",
        "gin",
        "hollow",
        "--api-benchmarks=checkout",
        "--only=info/200",
    ];
    let check = sandbox.run_to(1, &check);
    let [gin, hollow] = ["gin (Go, gin): 1 checks", "hollow (L, F): 1 checks"];
    let (gin, hollow) = (check.out.find(gin), check.out.find(hollow));
    assert!(gin.is_some() && gin < hollow, "{}", check.out);
}
