//! `harness report`: writes the reports of a run again, from its raw results.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use load::report;
use testbed::terminal::{print, show};

/// Options of `harness report`.
#[derive(Args, Debug)]
pub(super) struct ReportOptions {
    /// Folder of a run, with its results.jsonl, or of several runs
    #[arg(value_name = "DIR")]
    pub(super) folder: PathBuf,
    /// Contender whose score is 1 [default: the first that is not the ceiling]
    #[arg(long, value_name = "NAME")]
    pub(super) baseline: Option<String>,
}

/// Runs the command.
pub(super) fn report(options: &ReportOptions) -> Result<()> {
    let baseline = options.baseline.as_deref();
    let (summary, paths) = report::write(&options.folder, baseline, report::terminal_width())?;
    show(&summary);
    print("");
    for path in paths {
        print(path.display());
    }
    Ok(())
}
