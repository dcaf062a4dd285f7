//! The rows as tables: for a terminal, to paste, for other programs.

use std::fmt::Write;

use anyhow::{Context, Result};

use super::super::super::record::Bottleneck;
use super::super::super::scenario::Scenario;
use super::super::facts::{self, with_interval};
use super::super::figure::{listed, mebibytes, or_none, short, whole};
use super::super::markdown::{inline, setting};
use super::{METHOD, Row, Scale};
use testbed::columns::columns;

/// Names of the columns.
pub(super) const COLUMNS: [&str; 9] = [
    "contender",
    "workers",
    "connections",
    "CPU µs/request",
    "of first",
    "requests/s",
    "p99 ms",
    "memory",
    "verdict",
];

impl Scale {
    /// For a terminal.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for scenario in &self.plan().scenarios {
            let _ = writeln!(text, "{scenario}\n");
            let rows = self.rows_of(*scenario);
            let is_figure = |place| (1..COLUMNS.len() - 1).contains(&place);
            let header = COLUMNS.map(str::to_uppercase);
            let table = columns(header, rows.iter().map(cells), is_figure);
            let _ = writeln!(text, "{table}\n");
        }
        text
    }

    /// To paste into a README or an issue.
    pub(super) fn markdown(&self) -> String {
        let run = &self.runs[0].run;
        let mut text = format!(
            "## {} on {}\n\n{}\n\n",
            inline(&self.title()),
            inline(&run.machine.cpu),
            inline(&facts::plans(&self.plans()))
        );
        for scenario in &self.plan().scenarios {
            text += &self.table(*scenario);
        }
        text + &setting(run, &METHOD)
    }

    fn table(&self, scenario: Scenario) -> String {
        let mut text = format!(
            "### {scenario}\n\n| {} |\n|---|--:|--:|--:|--:|--:|--:|--:|---|\n",
            COLUMNS.join(" | ")
        );
        for row in self.rows_of(scenario) {
            let cells = cells(&row).map(|cell| inline(&cell));
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
        text + "\n"
    }

    /// What it is about.
    pub(super) fn title(&self) -> String {
        let contenders = self.plan().contenders.iter();
        let names: Vec<_> = contenders
            .map(|contender| contender.name.as_str())
            .collect();
        match names.as_slice() {
            [one] => format!("How {one} scales"),
            several => format!("How {} scale", listed(several)),
        }
    }

    /// For other programs.
    pub(super) fn csv(&self) -> Result<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in self.rows() {
            let median = |estimate: Option<super::Estimate>| estimate.map(|it| it.median);
            let record = Record {
                scenario: row.scenario.name(),
                contender: row.contender,
                workers: row.workers,
                connections: row.connections,
                cpu_us_per_request: median(row.cpu_us_per_request),
                of_first: row.of_first,
                requests_per_sec: median(row.requests_per_sec),
                p99_ms: median(row.p99_ms),
                rss_mean_bytes: row.rss_mean_bytes,
                bytes_per_connection: row.bytes_per_connection,
                bottleneck: row.bottleneck.map(Bottleneck::name),
            };
            writer
                .serialize(record)
                .context("writing a row of scale.csv")?;
        }
        let bytes = writer.into_inner().context("writing scale.csv")?;
        String::from_utf8(bytes).context("writing scale.csv")
    }
}

/// A row of `scale.csv`, with medians.
#[derive(serde::Serialize)]
struct Record<'a> {
    scenario: &'static str,
    contender: &'a str,
    workers: usize,
    connections: usize,
    cpu_us_per_request: Option<f64>,
    of_first: Option<f64>,
    requests_per_sec: Option<f64>,
    p99_ms: Option<f64>,
    rss_mean_bytes: Option<u64>,
    bytes_per_connection: Option<f64>,
    bottleneck: Option<&'static str>,
}

/// The cells of a row, as every form of the report shows them.
pub(super) fn cells(row: &Row<'_>) -> [String; 9] {
    let memory = or_none(row.rss_mean_bytes, mebibytes);
    let each = row.bytes_per_connection.map(|bytes| {
        let kibibytes = bytes / 1024.0;
        format!(", {kibibytes:+.1} KiB each")
    });
    [
        row.contender.to_owned(),
        whole(row.workers as f64),
        whole(row.connections as f64),
        with_interval(row.cpu_us_per_request.as_ref(), short),
        or_none(row.of_first, |share| format!("{share:.2}")),
        with_interval(row.requests_per_sec.as_ref(), whole),
        or_none(row.p99_ms, |estimate| short(estimate.median)),
        memory + &each.unwrap_or_default(),
        or_none(row.bottleneck, |bottleneck| bottleneck.name().to_owned()),
    ]
}
