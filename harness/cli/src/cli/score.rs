//! `harness score`: the field's score of a run, or of a published table.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use load::score::{self, Row, Scores};
use testbed::terminal::{print, table};

/// Options of `harness score`.
#[derive(Args, Debug)]
pub(super) struct ScoreOptions {
    /// A published table as JSON, a results.jsonl, or the folder of a run
    file: PathBuf,
    /// Contender that scores are against [default: the table's own, or the run's first]
    #[arg(long, value_name = "NAME")]
    baseline: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command; false if a published score does not follow from its figures.
pub(super) fn score(options: &ScoreOptions) -> Result<bool> {
    let scores = score::read(&options.file, options.baseline.as_deref())?;
    if options.json {
        print(serde_json::to_string_pretty(&scores)?);
    } else {
        show(&scores);
    }
    Ok(scores.reproduce())
}

fn show(scores: &Scores) {
    print(format_args!(
        "{}; {} is 1\n",
        scores.source, scores.baseline
    ));
    let rows = scores
        .scenarios
        .iter()
        .flat_map(|(scenario, rows)| rows.iter().map(|row| cells(scenario, row)));
    let head = [
        "SCENARIO",
        "CONTENDER",
        "REQUESTS/S",
        "MEAN MS",
        "P99 MS",
        "VS ALL",
        "PUBLISHED",
        "",
    ];
    print(table(head, rows));
    let published = scores.rows().filter_map(|row| row.reproduces);
    let (followed, not): (Vec<bool>, Vec<bool>) = published.partition(|follows| *follows);
    let all = followed.len() + not.len();
    if all > 0 {
        print(format_args!(
            "\n{} of {all} published scores follow from their figures, as far as those are rounded",
            followed.len()
        ));
    }
}

fn cells(scenario: &str, row: &Row) -> [String; 8] {
    let figures = &row.figures;
    let two = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.2}"));
    let remark = match (row.reproduces, &row.but) {
        (Some(true), _) => "follows",
        (Some(false), _) => "DOES NOT FOLLOW",
        (None, Some(but)) => but,
        (None, None) => "",
    };
    [
        scenario.to_owned(),
        row.contender.clone(),
        format!("{:.0}", figures.requests_per_sec),
        format!("{:.2}", figures.mean_ms),
        format!("{:.2}", figures.p99_ms),
        two(row.vs_all),
        two(row.published),
        remark.to_owned(),
    ]
}
