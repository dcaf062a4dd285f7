//! The reports of complete, incomplete and empty runs.

use std::fs;

use super::*;
use crate::record::LoadModel;
use crate::results::Results;
use crate::sample;

/// Writes the reports of these results: summary, CSV, Markdown, HTML, SVG.
fn written(results: &Results) -> [String; 5] {
    let folder = tempfile::tempdir().unwrap();
    sample::write(results, folder.path());
    reports(folder.path())
}

fn reports(folder: &Path) -> [String; 5] {
    let (summary, paths) = write(folder, None, 200).unwrap();
    let files = paths.iter().map(|path| fs::read_to_string(path).unwrap());
    let texts: Vec<_> = [summary].into_iter().chain(files).collect();
    texts.try_into().unwrap()
}

#[test]
fn reports_contain_every_cell_remark_and_open_loop() {
    let [summary, csv, markdown, page, picture] = written(&sample::results());
    for line in [
        "| 1 | axum | standard | 10.0 | 9.90 – 10.1 | 56 % | 100,000 | 1 | 1.00 | 2.00 | 1.00 | 14 MiB | 97 % | server-bound |\n",
        "| 2 | gin | standard | 20.0 | **18.7 – 21.5** | 28 % | 50,000 | 2 | 2.00 | 4.00 | 0.50 | 14 MiB | 97 % | server-bound |\n",
        "### info\n\n`GET /info`; ceiling of the engine: 176,400 requests/s\n",
        "| contender | 9,000/s |\n|---|--:|\n| axum | 22.2 |\n",
        "- robyn: fails movies/401-bad-signature: expected status 401, got status 201\n",
        "- flask: deviates in movies/400-too-deep: stops at",
        "- flask, round 2: exited in users-me: signal 9\n",
        "- gin, users-me, round 3: Little's law",
        "56 of 60 closed-loop attempts were made; the others failed.\n",
        "Rounds differ by more than 10 %: gin in movies (14 %).\n",
        "Least CPU time per request: axum in info, movies, catalog and users-me.\n",
    ] {
        assert!(markdown.contains(line), "{line} in\n{markdown}");
    }
    let rows = |text: &str, part: &str| text.matches(part).count();
    // Four tables of standings, one of the open loops without the ceiling, and one of the starts.
    assert_eq!(rows(&markdown, "| axum |"), 6);
    assert_eq!(rows(&markdown, "| ceiling |"), 5);
    assert_eq!(rows(&page, "data-value=\"axum\""), 6);
    assert_eq!(rows(&csv, "\nattempt,"), 56 + 4);
    assert_eq!(rows(&csv, "\ncalibration,"), 1);
    for text in [&page, &picture] {
        assert_eq!(rows(text, "<rect class=\"bar failed\""), 4);
        assert_eq!(rows(text, "<rect class=\"bar unbound\""), 1);
    }
    assert!(summary.ends_with("axum in info, movies, catalog and users-me.\n"));
}

#[test]
fn tables_fit_into_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    sample::write(&sample::results(), folder.path());
    for width in [50, 80, 120] {
        let (summary, _) = write(folder.path(), None, width).unwrap();
        let plain = anstream::adapter::strip_str(&summary).to_string();
        let rows = plain.lines().filter(|line| line.contains("  axum  "));
        for row in rows {
            assert!(row.chars().count() <= width, "{row} in {width}");
        }
        assert!(plain.contains("CPU µs/request") && plain.contains("10.0"));
        assert_eq!(plain.contains("VS ALL"), width > 80, "{plain}");
    }
}

#[test]
fn pages_load_nothing_and_escape_names() {
    let name = "<b>\"x\"&|</b>";
    let mut results = sample::results();
    results.run.plan.contenders[1].name = name.to_owned();
    results.run.plan.contenders[1].made_of = name.to_owned();
    results.run.machine.cpu = name.to_owned();
    results.run.command.push(name.to_owned());
    for attempt in &mut results.attempts {
        if attempt.contender == "axum" {
            attempt.contender = name.to_owned();
            attempt.warnings = vec![name.to_owned()];
            attempt.measured.errors.insert(name.to_owned(), 1);
        }
    }
    results.failures[0].error = name.to_owned();
    let [_, _, markdown, page, picture] = written(&results);
    for text in [&page, &picture] {
        assert!(!text.contains("<b>") && text.contains("&lt;b&gt;"));
        let text = text.replace("http://www.w3.org/2000/svg", "");
        for loading in ["http://", "https://", " src=", "<link", "@import", "url("] {
            assert!(!text.contains(loading), "{loading}");
        }
    }
    // The command is a block of code, in which nothing is markup.
    let outside = markdown.split("```").step_by(2).collect::<String>();
    assert!(!outside.contains("<b>"));
    let cell = "| &lt;b>\"x\"&amp;\\|&lt;/b> |";
    assert!(outside.contains(cell), "{outside}");
}

#[test]
fn incomplete_and_empty_runs_are_reported() {
    let mut interrupted = sample::results();
    interrupted.ended_at = None;
    let mut open_loops_only = sample::results();
    open_loops_only.run.plan.rounds = 0;
    open_loops_only
        .attempts
        .retain(|attempt| attempt.load_model != LoadModel::Closed);
    let mut only_errors = sample::results();
    for attempt in &mut only_errors.attempts {
        attempt.measured = Default::default();
    }
    let mut nothing = sample::results();
    nothing.attempts.clear();
    let cases = [
        (
            interrupted,
            "not done yet: 56 of 60 closed-loop attempts were made.",
        ),
        (
            open_loops_only,
            "Only open loops were measured: no contender is ranked.",
        ),
        (only_errors, "No contender could be ranked."),
        (nothing, "Nothing was measured yet."),
    ];
    for (results, sentence) in cases {
        let [summary, _, markdown, page, picture] = written(&results);
        for text in [&summary, &markdown, &page] {
            assert!(text.contains(sentence), "{sentence} in {text}");
        }
        let page = page.split("<script>").next().unwrap();
        for text in [&summary, &markdown, page, &picture] {
            let text = text.replace("info", "");
            assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        }
    }
}

#[test]
fn runs_that_differ_in_connections_have_one_report() {
    let folder = tempfile::tempdir().unwrap();
    for connections in [1000, 100] {
        let mut results = sample::results();
        results.run.plan.connections = connections;
        let name = results::folder_name(&results.run.plan);
        sample::write(&results, &folder.path().join(name));
    }
    let [summary, csv, markdown, page, _] = reports(folder.path());
    assert!(summary.contains("CONNECTIONS"), "{summary}");
    assert!(markdown.contains("| 1 | axum | standard | 1 | 100 | 10.0 |"));
    assert!(markdown.contains("| 1 | axum | standard | 1 | 1000 | 10.0 |"));
    assert!(markdown.contains("100 and 1,000 connections from"));
    assert!(markdown.contains("Least CPU time per request, 100 connections: axum"));
    assert_eq!(csv.matches("\nattempt,axum,1,1000,info,").count(), 4);
    assert!(page.contains("axum, 1000 connections"));
}

#[test]
fn unknown_baseline_is_refused_before_a_file_is_written() {
    let folder = tempfile::tempdir().unwrap();
    sample::write(&sample::results(), folder.path());
    let error = write(folder.path(), Some("rails"), 80).unwrap_err();
    assert!(error.to_string().starts_with("no rails in this run"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
