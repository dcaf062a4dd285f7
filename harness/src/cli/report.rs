//! `harness report`: the reports of a run, made again from its raw file.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::bench::standings::Standings;
use crate::bench::{report, results};
use crate::guide::print;

/// Options of `harness report`.
#[derive(Args, Debug)]
pub(super) struct ReportOptions {
    /// Folder with the results.jsonl of a run
    pub(super) folder: PathBuf,
    /// Contender that scores are against [default: the first that is not the limit]
    #[arg(long, value_name = "NAME")]
    pub(super) baseline: Option<String>,
    /// Print the standings as JSON and write nothing
    #[arg(long)]
    pub(super) json: bool,
}

/// Runs the command.
pub(super) fn report(options: &ReportOptions) -> Result<()> {
    let results = results::read(&options.folder)?;
    if options.json {
        print(report::json(&results, options.baseline.as_deref())?);
        return Ok(());
    }
    let written = report::write(&options.folder, options.baseline.as_deref())?;
    let standings = Standings::of(&results, results.baseline(options.baseline.as_deref())?);
    let summary = report::summary(&results, &standings, report::terminal_width());
    // A reader that has gone (`| head`) has seen enough.
    let _ = anstream::stdout().write_all(summary.as_bytes());
    print("");
    for path in written {
        print(path.display());
    }
    Ok(())
}
