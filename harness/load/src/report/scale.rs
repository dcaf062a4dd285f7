//! How a contender scales: a report on runs that differ in workers and connections only.
//! Each is a run as any other, in a folder of its own.

mod chart;
mod page;
mod table;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::super::cell::Cell;
use super::super::record::{Bottleneck, Plan};
use super::super::results::{self, Results};
use super::super::scenario::Scenario;
use super::super::statistics::Estimate;
use super::write_whole;

/// What the figures of this report are.
const METHOD: [&str; 4] = [
    "Each number of workers and connections is a run of its own, with all that the report of a run tells; their rounds take turns, so that what drifts hits them alike.",
    "Processor time per request is the median of the rounds, and its ratio is to the first row of the same contender: below 1 a request costs less than there.",
    "Memory is the contender's resident memory under load, the median of the rounds' means; memory per connection is what it grew by since the row before, if it grew, by connection.",
    "Requests per second are the contender's own only where the bottleneck is server-bound.",
];

/// Runs that differ in their points only, in the order of those.
#[derive(Debug)]
pub struct Scale {
    runs: Vec<Results>,
}

/// A contender in a scenario at a point.
#[derive(Clone, Debug, Serialize)]
pub struct Row<'a> {
    pub scenario: Scenario,
    pub contender: &'a str,
    pub workers: usize,
    pub connections: usize,
    pub cpu_us_per_request: Option<Estimate>,
    /// Against the first row of the contender in the scenario.
    pub of_first: Option<f64>,
    pub requests_per_sec: Option<Estimate>,
    pub p99_ms: Option<Estimate>,
    /// Resident memory.
    pub rss_mean_bytes: Option<u64>,
    /// Memory that came with each connection more than in the row before.
    pub bytes_per_connection: Option<f64>,
    pub bottleneck: Option<Bottleneck>,
}

/// Name of the folder of a run among others.
pub fn name(plan: &Plan) -> String {
    format!("workers-{}-connections-{}", plan.workers, plan.connections)
}

/// The folders of the runs in a folder, in no order; none if it holds a run itself.
///
/// # Errors
/// It cannot be read.
pub fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    if results::file_of(folder).is_file() {
        return Ok(Vec::new());
    }
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry
            .with_context(|| format!("reading {}", folder.display()))?
            .path();
        if path.is_dir() && results::file_of(&path).is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Writes `scale.csv`, `scale.md` and `scale.html` into the folder of the runs. Returns what was
/// written.
///
/// # Errors
/// The runs cannot be read, or a file cannot be written.
pub fn write(folder: &Path) -> Result<Vec<PathBuf>> {
    let scale = Scale::read(folder)?;
    let files = [
        ("scale.csv", scale.csv()?),
        ("scale.md", scale.markdown()),
        ("scale.html", scale.page()),
    ];
    write_whole(folder, &files)
}

impl Scale {
    /// Of the runs in a folder.
    ///
    /// # Errors
    /// They cannot be read, or differ in more than their points.
    pub fn read(folder: &Path) -> Result<Self> {
        let folders = folders(folder)?.into_iter();
        Self::of(
            folders
                .map(|run| results::read(&run))
                .collect::<Result<_>>()?,
        )
        .with_context(|| format!("reading the runs in {}", folder.display()))
    }

    fn of(mut runs: Vec<Results>) -> Result<Self> {
        ensure!(!runs.is_empty(), "there is no run");
        runs.sort_by_key(|results| results.run.plan.point());
        let point = runs[0].run.plan.point();
        let rest = |results: &Results| results.run.plan.clone().at(point);
        let first = rest(&runs[0]);
        ensure!(
            runs.iter().all(|results| rest(results) == first),
            "these runs differ in more than workers and connections"
        );
        Ok(Self { runs })
    }

    fn plan(&self) -> &Plan {
        &self.runs[0].run.plan
    }

    fn plans(&self) -> Vec<&Plan> {
        let runs = self.runs.iter();
        runs.map(|results| &results.run.plan).collect()
    }

    /// Whether the runs differ in this number.
    fn differs_in(&self, number: fn(&Plan) -> usize) -> bool {
        let first = number(self.plan());
        self.plans().into_iter().any(|plan| number(plan) != first)
    }

    /// All rows: by scenario, then contender, then point.
    pub fn rows(&self) -> Vec<Row<'_>> {
        let scenarios = self.plan().scenarios.iter();
        scenarios
            .flat_map(|scenario| self.rows_of(*scenario))
            .collect()
    }

    fn rows_of(&self, scenario: Scenario) -> Vec<Row<'_>> {
        let contenders = &self.plan().contenders;
        let mut rows = Vec::new();
        for index in 0..contenders.len() {
            let begin = rows.len();
            for results in &self.runs {
                let row = row(results, index, scenario);
                rows.push(Row {
                    of_first: ratio(&row, rows.get(begin)),
                    bytes_per_connection: growth(&row, rows.last()),
                    ..row
                });
            }
        }
        rows
    }

    /// The rows as JSON, for other programs.
    ///
    /// # Errors
    /// They cannot be written as JSON.
    pub fn json(&self) -> Result<String> {
        serde_json::to_string_pretty(&self.rows()).context("writing the rows as JSON")
    }
}

fn row(results: &Results, contender: usize, scenario: Scenario) -> Row<'_> {
    let plan = &results.run.plan;
    let cell = Cell::of(results, &plan.contenders[contender], scenario);
    Row {
        scenario,
        contender: &plan.contenders[contender].name,
        workers: plan.workers,
        connections: plan.connections,
        cpu_us_per_request: cell.cpu_us_per_request,
        of_first: None,
        requests_per_sec: cell.requests_per_sec,
        p99_ms: cell.p99_ms,
        rss_mean_bytes: cell.rss_mean_bytes,
        bytes_per_connection: None,
        bottleneck: cell.bottleneck,
    }
}

/// What a request costs as a share of what it costs in the first row.
fn ratio(row: &Row<'_>, first: Option<&Row<'_>>) -> Option<f64> {
    let cost = row.cpu_us_per_request?.median;
    let of_first = first.map_or(Some(cost), |first| Some(first.cpu_us_per_request?.median))?;
    Some(cost / of_first)
}

/// Bytes for each connection more than in the row before, of the same contender and workers. None if
/// memory did not grow: a few connections are lost in what a process needs anyway.
fn growth(row: &Row<'_>, before: Option<&Row<'_>>) -> Option<f64> {
    let before = before.filter(|it| (it.contender, it.workers) == (row.contender, row.workers))?;
    let bytes = row.rss_mean_bytes?.checked_sub(before.rss_mean_bytes?)?;
    let connections = row
        .connections
        .checked_sub(before.connections)
        .filter(|more| *more > 0)?;
    (bytes > 0).then_some(bytes as f64 / connections as f64)
}
