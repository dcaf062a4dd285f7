//! Reports of a run: the page, the text to paste, the picture, the table for other programs. All are
//! made from `results.jsonl` alone, and can be made again at any time.

mod axis;
mod chart;
mod csv;
mod facts;
pub mod figure;
pub mod html;
mod latency;
mod logarithm;
pub mod markdown;
mod panel;
mod rates;
pub mod scale;
mod summary;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::results::{self, Results};
use super::standings::Standings;
use testbed::output;

pub use summary::{summary, terminal_width};

/// How it is measured and what the figures mean, in ten lines.
pub const METHOD: [&str; 10] = [
    "A contender runs alone on processors of its own; the engine, the upstream and Postgres share the others.",
    "In each round it is started anew and has to pass the checks of level work: who fails one is shown, not ranked.",
    "Rounds are interleaved, each begins with another contender, and every attempt is kept.",
    "An attempt is a warm-up and then the measured time. Only right answers count as requests.",
    "The primary figure is the processor time, user and system, of all of the contender's processes per right answer: it does not depend on how busy anyone else was.",
    "A verdict says who was at the limit. A cell is server-bound if all its attempts are; only those are ranked by requests per second, all others by processor time only.",
    "Figures are medians with a 95 % interval (percentile bootstrap, fixed seed). Of two to five attempts it is their range; the range of three holds the true median in three cases of four.",
    "A rank is one more than the number of contenders whose whole interval is better: overlapping intervals share a rank.",
    "`vs all` is the geometric mean of three ratios to the baseline: requests per second, mean and 99th percentile of the latency. The published rules take each contender's best attempt instead of medians.",
    "In open loop requests follow a schedule at the same rates for everyone, and latency counts from the scheduled time. `limit` does none of the work and is no contender: every row is a fraction of it.",
];

/// As [`METHOD`], of a run that another harness has measured.
pub const METHOD_OF_AN_IMPORT: [&str; 5] = [
    "Another harness measured this run, by its own method; here its figures are only read. None of its contenders had to pass our checks: that every answer was right is its word.",
    "What it does not record is unknown (–): processor time per request, who else used the machine, what the hypervisor took.",
    "A verdict follows from its samples of the contender's processor, which go on for a moment before and after the load: a mean of 95 % proves server-bound, a largest sample below 95 % proves not server-bound, and what lies between stays unknown. Only server-bound cells are ranked.",
    "Figures are medians of all its attempts, of two to five with their range; the published rules take the best attempt instead. Contenders with overlapping ranges share a rank.",
    "`vs all` is the geometric mean of three ratios to the baseline: requests per second, mean and 99th percentile of the latency.",
];

/// Writes `results.csv`, `report.md`, `report.html` and `chart.svg` beside the `results.jsonl` of a
/// folder, each as a whole or not at all, with scores against this baseline or else the first
/// contender. Returns what was written.
///
/// # Errors
/// The results cannot be read, have no such baseline, or a file cannot be written.
pub fn write(folder: &Path, baseline: Option<&str>) -> Result<Vec<PathBuf>> {
    let results = results::read(folder)?;
    let standings = Standings::of(&results, results.baseline(baseline)?);
    let files = [
        ("results.csv", csv::table(&results)?),
        ("report.md", markdown::report(&results, &standings)),
        ("report.html", html::page(&results, &standings)),
        ("chart.svg", chart::picture(&results, &standings)),
    ];
    write_whole(folder, &files)
}

/// Writes files into a folder, each as a whole or not at all. Returns their paths.
fn write_whole(folder: &Path, files: &[(&str, String)]) -> Result<Vec<PathBuf>> {
    let written = files.iter().map(|(name, text)| {
        let path = folder.join(name);
        output::write(&path, text)?;
        Ok(path)
    });
    written.collect()
}

/// The standings of a run as JSON, for other programs, with scores as in [`write()`].
///
/// # Errors
/// There is no such baseline, or they cannot be written as JSON.
pub fn json(results: &Results, baseline: Option<&str>) -> Result<String> {
    let standings = Standings::of(results, results.baseline(baseline)?);
    serde_json::to_string_pretty(&standings).context("writing the standings as JSON")
}

#[cfg(test)]
mod tests;
