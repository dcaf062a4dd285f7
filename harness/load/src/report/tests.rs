//! The reports of a run as it might have been, and of runs that came to nothing.

use std::fs;

use super::super::record::Pace;
use super::super::scenario::Scenario;
use super::super::{results, sample};
use super::*;

/// The reports of these results: csv, md, html, svg.
fn written(results: &Results) -> [String; 4] {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(results::FILE), sample::written(results)).unwrap();
    let paths = write(folder.path(), None).unwrap();
    paths
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect::<Vec<_>>()
        .try_into()
        .unwrap()
}

#[test]
fn the_page_has_every_contender_in_every_scenario() {
    let results = sample::results();
    let [_, _, page, _] = written(&results);
    for scenario in Scenario::ALL {
        let title = format!("<title>Processor time per request, {scenario}</title>");
        assert_eq!(page.matches(&title).count(), 1, "{scenario}");
    }
    for contender in &results.run.plan.contenders {
        let heads = page
            .matches(&format!("data-value=\"{}\"", contender.name))
            .count();
        // In the figures and in the best attempts of each scenario.
        assert_eq!(heads, 8, "{}", contender.name);
    }
}

#[test]
fn the_page_and_the_picture_load_nothing() {
    let [_, _, page, picture] = written(&sample::results());
    for text in [&page, &picture] {
        let text = text.replace("http://www.w3.org/2000/svg", "");
        for loading in ["http://", "https://", " src=", "<link", "@import", "url("] {
            assert!(!text.contains(loading), "{loading}");
        }
    }
    let hrefs = page.matches("href=").count();
    assert_eq!(hrefs, page.matches("href=\"#").count());
}

#[test]
fn whatever_a_run_says_is_escaped() {
    let name = "<b>\"x\"&|</b>";
    let mut results = sample::results();
    results.run.plan.contenders[1].name = name.to_owned();
    results.run.plan.contenders[1].made_of = name.to_owned();
    results.run.machine.cpu = name.to_owned();
    results.run.command.push(name.to_owned());
    for attempt in results
        .attempts
        .iter_mut()
        .filter(|attempt| attempt.contender == "axum")
    {
        attempt.contender = name.to_owned();
        attempt.warnings = vec![name.to_owned()];
        attempt.measured.errors.insert(name.to_owned(), 1);
    }
    results.failures[0].error = name.to_owned();
    let [_, markdown, page, picture] = written(&results);
    for text in [&page, &picture] {
        assert!(!text.contains("<b>"), "{text}");
        assert!(text.contains("&lt;b&gt;"));
        assert!(!text.contains("\"x\"&|"));
    }
    // The command is a block of code, where nothing is markup.
    let outside = markdown.split("```").step_by(2).collect::<String>();
    assert!(!outside.contains("<b>"));
    assert!(
        outside.contains("| &lt;b>\"x\"&amp;\\|&lt;/b> |"),
        "{outside}"
    );
}

#[test]
fn the_markdown_has_a_row_for_each_cell() {
    let [_, markdown, ..] = written(&sample::results());
    // A million microseconds for 48,000 requests, and for 0.9 % more and 0.6 % fewer.
    let row = "| 1 | axum-tuned | 20.8 (20.6 – 21.0) | ";
    assert!(markdown.contains(row), "{row} in\n{markdown}");
    assert!(markdown.contains("### users-me\n\n`GET /users/me`; the engine's own ceiling: "));
    assert!(markdown.contains(
        "- robyn fails `movies/401-bad-signature`: expected status 401; came status 201\n"
    ));
    assert!(markdown.contains("- flask, round 2: died in users-me: signal 9 (killed)\n"));
    assert!(
        markdown.contains(
            "- gin, users-me, round 3: 100 connections, but rate × mean latency is 93.1\n"
        )
    );
    assert!(markdown.contains("> **Note** Rounds differ by more than 10 %: fastapi in movies ("));
    assert!(markdown.contains("harness bench --all --rounds 3 --rates 25%,50%,75%,sweep\n"));
    for scenario in Scenario::ALL {
        let table = markdown.split(&format!("### {scenario}\n")).nth(1).unwrap();
        let (table, open) = table.split_once("p99 ms in open loop").unwrap();
        assert!(open.starts_with(", from the scheduled time:\n\n| contender | "));
        assert_eq!(
            table.lines().filter(|line| line.starts_with("| ")).count(),
            1 + 9,
            "{scenario}"
        );
    }
}

#[test]
fn a_cell_that_is_not_server_bound_is_grey_and_says_why() {
    let [_, markdown, page, _] = written(&sample::results());
    let flask = markdown.lines().filter(|line| line.contains("| flask |"));
    assert_eq!(
        flask
            .clone()
            .filter(|line| line.ends_with("| waiting |"))
            .count(),
        1
    );
    assert_eq!(
        flask
            .filter(|line| line.ends_with("| server-bound |"))
            .count(),
        3
    );
    assert_eq!(page.matches("class=\"bar unbound\"").count(), 1);
    assert_eq!(page.matches("class=\"bar failed\"").count(), 4);
}

#[test]
fn an_interrupted_run_says_so() {
    let mut results = sample::results();
    results.ended_at = None;
    let said =
        "This run was interrupted or is not done yet: 104 of 108 closed-loop attempts were made.";
    let [_, markdown, page, _] = written(&results);
    assert!(markdown.contains(said) && page.contains(said));
}

#[test]
fn a_run_with_nothing_but_its_first_line_says_so() {
    let results = Results::of(sample::results().run);
    let [table, markdown, page, picture] = written(&results);
    assert_eq!(table, "");
    assert!(page.contains("No contender was checked yet."));
    assert!(!page.contains("add up"));
    for text in [
        markdown,
        page,
        picture,
        summary(&results, &Standings::of(&results, None), 80),
    ] {
        assert!(text.contains("Nothing was measured yet."), "{text}");
    }
}

#[test]
fn a_run_without_right_answers_is_reported() {
    let mut results = sample::results();
    for attempt in &mut results.attempts {
        attempt.measured.requests = 0;
        attempt.measured.seconds = 0.0;
        attempt.measured.latency = Default::default();
        attempt.usage.contender.cpu_secs = Some(0.0);
    }
    let [_, markdown, page, picture] = written(&results);
    let page = page.split("<script>").next().unwrap();
    for text in [&markdown, page, &picture] {
        let text = text.replace("info", "");
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    }
}

#[test]
fn a_run_of_closed_loops_has_no_curves() {
    let mut results = sample::results();
    let [_, markdown, page, _] = written(&results);
    assert!(page.contains("Latency at a given rate"));
    assert!(markdown.contains("p99 ms in open loop"));
    results
        .attempts
        .retain(|attempt| attempt.pace == Pace::Closed);
    let [_, markdown, page, _] = written(&results);
    assert!(!page.contains("Latency at a given rate"));
    assert!(!markdown.contains("p99 ms in open loop"));
}

#[test]
fn a_run_of_open_loops_has_nothing_else() {
    let mut results = sample::results();
    results.run.plan.rounds = 0;
    results
        .attempts
        .retain(|attempt| attempt.pace != Pace::Closed);
    let said = "Only open loops were measured: nothing is ranked.";
    let [_, markdown, page, picture] = written(&results);
    for text in [&markdown, &page, &picture] {
        assert!(text.contains(said), "{text}");
    }
    assert!(markdown.contains("\nAttempts of "), "{markdown}");
    assert!(!markdown.contains("| CPU µs/request |"), "{markdown}");
    for closed in ["Processor time per request", "Noise", "Every attempt"] {
        let heading = format!("<h2>{closed}");
        assert!(!page.contains(&heading), "{closed} in\n{page}");
    }
    assert!(page.contains("<h2>Latency at a given rate"));
    let terminal = summary(&results, &Standings::of(&results, None), 100);
    assert!(
        terminal.contains("P99 ms") && terminal.contains(said),
        "{terminal}"
    );
    assert!(!terminal.contains("CPU µs/REQ"), "{terminal}");
}

#[test]
fn reports_are_the_same_when_they_are_made_again() {
    let results = sample::results();
    assert_eq!(written(&results), written(&results));
}

#[test]
fn an_unknown_baseline_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join(results::FILE),
        sample::written(&sample::results()),
    )
    .unwrap();
    let error = write(folder.path(), Some("rails")).unwrap_err().to_string();
    assert!(error.starts_with("no rails in this run"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// Leaves the sample run in the folder of `SAMPLE_RUN`, to be looked at.
#[test]
fn the_sample_run_is_written_for_who_asks() {
    let Some(folder) = std::env::var_os("SAMPLE_RUN") else {
        return;
    };
    let folder = Path::new(&folder);
    fs::create_dir_all(folder).unwrap();
    fs::write(
        folder.join(results::FILE),
        sample::written(&sample::results()),
    )
    .unwrap();
    write(folder, None).unwrap();
}
