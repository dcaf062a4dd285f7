//! Reports of a run, or of several that differ in workers and connections: `report.md`,
//! `report.html`, `results.csv` and `chart.svg`. They follow from `results.jsonl` alone.

mod chart;
mod columns;
mod facts;
pub mod html;
mod markdown;
mod open_loop;
mod terminal;

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::results;
use super::standings::Standings;
use testbed::output;

/// The method and the meaning of the metrics.
const METHOD: [&str; 11] = [
    "A contender runs alone on its own CPUs, unless a note above says otherwise; the engine, the upstream and Postgres share the others.",
    "In each round the contender is started again and has to pass the checks of level work. A contender that fails a check is shown, but not ranked.",
    "Rounds are interleaved, each begins with another contender, and every attempt counts.",
    "An attempt is a warm-up followed by the measured time. Only correct responses count as requests.",
    "The primary metric is the CPU time, user and system, of all of the contender's processes per correct response. It does not depend on the load of the other processes.",
    "In movies and users-me no two requests are alike. `repeated` is the CPU time per request where a few are repeated, as a share of that: below 80 % the contender remembers, its values are not comparable, and it is not ranked.",
    "The bottleneck says which process was saturated. A contender is server-bound in a scenario if all of its attempts are. Only server-bound contenders are ranked by requests per second; the others are ranked by CPU time only.",
    "Values are medians with a 95 % interval (percentile bootstrap, fixed seed). The interval of two to five attempts is their range; the range of three contains the true median in three of four cases.",
    "A rank is one more than the number of contenders whose whole interval is better. Overlapping intervals share a rank.",
    "`vs all` is the geometric mean of three ratios to the baseline: requests per second, mean and 99th percentile of the latency. The published rules take each contender's best attempt instead of medians.",
    "In open loop requests follow a schedule at the same rates for every contender, and latency counts from the scheduled time. The ceiling does no work and is not a contender: every row is a fraction of it.",
];

/// Writes the reports into the folder of a run, or of several, each file completely or not at all.
/// Scores are relative to this baseline or else to the first contender. Returns the summary for a
/// terminal of this width, and the paths of the files.
///
/// # Errors
/// The results cannot be read, have no such baseline, or a file cannot be written.
pub fn write(
    folder: &Path,
    baseline: Option<&str>,
    width: usize,
) -> Result<(String, Vec<PathBuf>)> {
    let folders = results::folders(folder)?.into_iter();
    let runs = folders.map(|folder| results::read(&folder));
    let runs = runs.collect::<Result<Vec<_>>>()?;
    let standings = Standings::new(&runs, baseline)?;
    let files = [
        ("results.csv", columns::attempts_csv(&standings)?),
        ("report.md", markdown::report(&standings)),
        ("report.html", html::report(&standings)),
        ("chart.svg", chart::picture(&standings).into_string()),
    ];
    let mut paths = Vec::new();
    for (name, text) in files {
        let path = folder.join(name);
        output::write(&path, text)?;
        paths.push(path);
    }
    Ok((terminal::summary(&standings, width), paths))
}

pub use terminal::terminal_width;

#[cfg(test)]
mod tests;
