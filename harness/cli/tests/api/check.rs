//! `harness check` as its user meets it: exit codes, formats, and what it says when it cannot run.

use std::fs;
use std::process::Command;

use conformance::{Level, Options, Outcome, Report, Secrets, Subject, Target, all, run};
use serde_json::Value;

use crate::suite::{Said, Suite, is_alive, said, wait_until};
use crate::{hollow, stand_in};

fn check(arguments: &[&str]) -> Said {
    check_with(arguments, &[])
}

fn check_with(arguments: &[&str], variables: &[(&str, &str)]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    command
        .arg("check")
        .args(arguments)
        .env_remove("JWT_SECRET")
        .env_remove("UPSTREAM_API_KEY");
    said(command.envs(variables.iter().copied()).output().unwrap())
}

/// Checks the hollow contender with these options.
fn check_hollow(arguments: &[&str]) -> Said {
    let url = format!("http://{}", hollow::start());
    check(&[&["--url", &url], arguments].concat())
}

#[test]
fn the_list_names_every_check_and_a_pattern_chooses_some() {
    let list = check(&["--list"]);
    assert_eq!(list.code, Some(0));
    for check in all() {
        assert!(list.out.contains(&check.what), "{}", check.slug);
    }
    let some = check(&["--list", "--only", "info/*"]).out;
    let slugs = some
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().next());
    let expected = all()
        .into_iter()
        .filter(|check| check.slug.starts_with("info/"));
    assert!(slugs.eq(expected.map(|check| check.slug)));
}

#[test]
fn an_empty_object_for_everything_fails_and_each_failure_can_be_repeated() {
    let said = check_hollow(&["--level", "core"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    for slug in ["info/200", "movies/201", "catalog/200", "users-me/200"] {
        assert!(
            said.out.contains(&format!("FAILED {slug} (core)")),
            "{slug} in {}",
            said.out
        );
    }
    assert!(said.out.contains("does not pass level core"));
    assert!(!said.out.contains('\u{1b}'), "colours without a terminal");
    let sent = said
        .out
        .lines()
        .find_map(|line| line.trim().strip_prefix("sent "))
        .unwrap();
    let curl = Command::new("sh")
        .args(["-c", &format!("{sent} --silent")])
        .output();
    let curl = String::from_utf8(curl.unwrap().stdout).unwrap();
    assert!(
        curl.starts_with("HTTP/1.1 200 OK") && curl.ends_with("{}"),
        "{curl}"
    );
}

#[test]
fn what_needs_the_other_side_is_not_checked_and_never_passed() {
    let said = check_hollow(&["--only", "catalog/*", "--only", "users-me/*", "--json"]);
    assert_eq!(said.code, Some(1));
    let reports: Value = serde_json::from_str(&said.out).unwrap();
    let rows = reports[0]["checks"].as_array().unwrap();
    let outcome = |slug: &str| {
        let row = rows.iter().find(|row| row["slug"] == slug).unwrap();
        (
            row["outcome"].as_str().unwrap().to_owned(),
            row["why"].as_str().unwrap_or("").to_owned(),
        )
    };
    for (slug, option) in [
        ("catalog/one-call", "--upstream-port"),
        ("users-me/row", "--database-url"),
    ] {
        let (outcome, why) = outcome(slug);
        assert_eq!(outcome, "not-checked", "{slug}");
        assert!(why.contains(option), "{why}");
    }
    for row in rows.iter().filter(|row| row["outcome"] == "passed") {
        let slug = row["slug"].as_str().unwrap();
        let check = all().into_iter().find(|check| check.slug == slug).unwrap();
        assert!(check.needs.is_empty(), "{slug} passed");
    }
}

#[test]
fn reports_are_written_for_machines_and_people() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let files = ["json", "junit", "markdown"].map(|name| format!("--{name}={}", path(name)));
    let options = [
        &["--only", "info/200"][..],
        &files.each_ref().map(String::as_str)[..],
    ]
    .concat();
    let said = check_hollow(&options);
    assert_eq!(said.code, Some(1));
    assert!(
        said.out.contains("FAILED info/200"),
        "the table is shown too"
    );
    let read = |name: &str| fs::read_to_string(path(name)).unwrap();
    let json: Value = serde_json::from_str(&read("json")).unwrap();
    let row = &json[0]["checks"][0];
    assert_eq!(
        (row["slug"].as_str(), row["outcome"].as_str()),
        (Some("info/200"), Some("failed"))
    );
    assert!(
        row["sent"]
            .as_str()
            .unwrap()
            .starts_with("curl -i 'http://127.0.0.1:")
    );
    assert!(
        read("junit").contains(r#"<testcase name="info/200" classname="core""#),
        "{}",
        read("junit")
    );
    assert!(read("junit").contains("<failure message=\"expected the header x-response-id"));
    assert!(
        read("markdown").contains("| `info/200` | core | FAILED |"),
        "{}",
        read("markdown")
    );
}

#[test]
fn what_cannot_be_checked_is_said_in_one_line() {
    for (arguments, phrase) in [
        (
            &["--url", "http://127.0.0.1:1"][..],
            "no contender at http://127.0.0.1:1",
        ),
        (&["--url", "https://127.0.0.1"], "is not an http:// URL"),
        (&["nobody"], "reading contenders.toml"),
        (&["--only", "no/such", "--url", "URL"], "no check fits"),
        (
            &["--api-benchmarks", "/", "gin"],
            "is no checkout of api-benchmarks",
        ),
        (
            &["--url", "URL", "--database-url", "postgres://127.0.0.1:1/a"],
            "contender's database",
        ),
    ] {
        let hollow = format!("http://{}", hollow::start());
        let arguments = arguments
            .iter()
            .map(|word| if *word == "URL" { &hollow } else { *word });
        let said = check(&arguments.collect::<Vec<_>>());
        assert_eq!(said.code, Some(2), "{said:?}");
        let line = said.err.lines().last().unwrap();
        assert!(
            line.starts_with("harness: ") && line.contains(phrase),
            "{phrase}: {}",
            said.err
        );
    }
}

#[test]
fn a_secret_of_one_s_own_is_never_printed_and_no_token_of_it() {
    let url = format!("http://{}", hollow::start());
    let secrets = [
        ("JWT_SECRET", "a-secret-of-my-own"),
        ("UPSTREAM_API_KEY", "a-key-of-my-own"),
    ];
    let said = check_with(
        &["--url", &url, "--level", "work", "--verbose", "--json"],
        &secrets,
    );
    let all = said.out + &said.err;
    assert!(all.contains("Bearer <hidden>"));
    for (name, secret) in secrets {
        assert!(!all.contains(secret), "{name}");
    }
    assert!(!all.contains("eyJ"));
}

/// A folder with a `contenders.toml` whose one contender starts so.
fn stanza(suite: &Suite, command: &str, more: &str) -> String {
    let path = suite.path("contenders.toml");
    let stanza =
        format!("[mine]\nlanguage = \"L\"\nframework = \"F\"\ncommand = '''{command}'''\n{more}");
    fs::write(&path, stanza).unwrap();
    path.display().to_string()
}

#[test]
fn a_contender_is_started_told_its_surroundings_and_stopped_with_all_it_started() {
    let suite = Suite::new();
    suite.install("hollow", &stand_in::script("hollow"));
    let pid_file = suite.path("pid");
    let command = format!(
        "sleep 300 & echo $! > {}; exec ./hollow",
        pid_file.display()
    );
    let file = stanza(&suite, &command, "");
    let said = suite.run(&["check", "mine", "--contenders", &file, "--only", "info/200"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.out.starts_with("mine (L, F): 1 checks"),
        "{}",
        said.out
    );
    let pid = fs::read_to_string(pid_file)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    wait_until("what the contender started is gone", || !is_alive(pid));
}

#[test]
fn the_limit_fails_by_design_and_says_so_in_every_format() {
    const BY_DESIGN: &str = "mine fails by design: it is no contender";
    let suite = Suite::new();
    suite.install("hollow", &stand_in::script("hollow"));
    let file = stanza(&suite, "exec ./hollow", "kind = \"limit\"\n");
    let formats = ["json", "junit", "markdown"].map(|format| (format, suite.path(format)));
    let formats = formats.map(|(format, path)| (format!("--{format}={}", path.display()), path));
    let [json, junit, markdown] = &formats;
    let arguments = ["check", "mine", "--contenders", &file, "--only", "info/200"];
    let shown = suite.run(&arguments);
    assert_eq!(shown.code, Some(1), "{shown:?}");
    assert!(shown.out.lines().last().unwrap().starts_with(BY_DESIGN));
    let written = suite.run(&[&arguments[..], &[&json.0, &junit.0, &markdown.0]].concat());
    assert_eq!(written.code, Some(1), "{written:?}");
    let read = |path| fs::read_to_string(path).unwrap();
    let reports: Value = serde_json::from_str(&read(&json.1)).unwrap();
    assert_eq!(reports[0]["is_limit"], true);
    for text in [read(&junit.1), read(&markdown.1)] {
        assert!(text.contains(BY_DESIGN), "{text}");
    }

    let all = suite.run(&["check", "--all", "--contenders", &file]);
    assert!(all.err.contains("mine is left out: it is no contender"));
    assert_eq!(all.code, Some(2), "{all:?}");
}

#[test]
fn a_contender_that_does_not_start_shows_the_end_of_its_log() {
    let suite = Suite::new();
    let file = stanza(&suite, "echo no luck today; exit 3", "");
    let said = suite.run(&["check", "mine", "--contenders", &file]);
    assert_eq!(said.code, Some(2));
    assert!(
        said.err.contains("contender has ended") && said.err.contains("no luck today"),
        "{}",
        said.err
    );
    let file = stanza(&suite, "exec true", "build = 'echo building; false'\n");
    let said = suite.run(&["check", "mine", "--contenders", &file]);
    assert!(
        said.err.contains("`echo building; false` failed"),
        "{}",
        said.err
    );
}

/// Checks `/info` of the hollow contender, which declares this.
fn declaring(deviations: &[(&str, &str)]) -> anyhow::Result<Report> {
    let target = Target::local(hollow::start());
    let subject = Subject::new(target, Secrets::bench(), None, None);
    let options = Options {
        only: ["info/*", "movies/accepts-*"]
            .map(|text| glob::Pattern::new(text).unwrap())
            .into(),
        required: Level::Core,
        deviations: deviations
            .iter()
            .map(|(slug, why)| ((*slug).to_owned(), (*why).to_owned()))
            .collect(),
        ..Options::all_of(Level::Strict)
    };
    run(subject, &options)
}

fn outcome(report: &Report, slug: &str) -> Outcome {
    let row = report.checks.iter().find(|row| row.slug == slug).unwrap();
    row.outcome.clone()
}

#[test]
fn a_declared_deviation_is_shown_with_its_reason_and_one_that_is_not_is_reported() {
    let report = declaring(&[("info/field-order", "no fields")]).unwrap();
    assert!(matches!(outcome(&report, "info/200"), Outcome::Failed(_)));
    assert!(matches!(outcome(&report, "info/405"), Outcome::Deviates(_)));
    let Outcome::Declared { why, .. } = outcome(&report, "info/field-order") else {
        panic!("{report:#?}")
    };
    assert_eq!(why, "no fields");
}

#[test]
fn a_declaration_that_is_no_longer_true_is_a_failure_of_its_own() {
    let report = declaring(&[("info/content-type", "text")]).unwrap();
    let stale = Outcome::Stale {
        why: "text".to_owned(),
    };
    assert_eq!(outcome(&report, "info/content-type"), stale);
    assert!(!report.passed());
    // True as long as one of them deviates.
    let report = declaring(&[("info/[cf]*e*", "some")]).unwrap();
    assert_eq!(outcome(&report, "info/content-type"), Outcome::Passed);
    assert!(matches!(
        outcome(&report, "info/field-order"),
        Outcome::Declared { .. }
    ));
}

#[test]
fn what_names_no_check_or_proves_the_work_cannot_be_declared() {
    for (slug, phrase) in [
        ("info/no-such-check", "names no check"),
        ("info/fresh-ids", "cannot be declared away"),
        ("[", "the deviation \"[\""),
    ] {
        let error = format!("{:#}", declaring(&[(slug, "why")]).unwrap_err());
        assert!(error.contains(phrase), "{error}");
    }
}
