//! `harness import`: a run of the public harness as one of ours.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use super::bench::{REPORTS, command_line};
use super::report::{self, ReportOptions};
use crate::bench::import;
use crate::bench::log::Log;
use crate::bench::record::{Imported, Line};

/// Options of `harness import`.
#[derive(Args, Debug)]
pub(super) struct ImportOptions {
    /// A bench.db, a results.json of a report, or the folder of a checkout with results/bench.db
    file: PathBuf,
    /// The run, where a database has several
    #[arg(long, value_name = "ID")]
    run: Option<String>,
    /// Folder to write to [default: reports/<run>-api-benchmarks]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Contender that scores are against [default: the public harness's own]
    #[arg(long, value_name = "NAME")]
    baseline: Option<String>,
}

/// Runs the command.
pub(super) fn import(options: ImportOptions) -> Result<()> {
    let lines = import::read(&options.file, options.run.as_deref(), command_line())?;
    let mut lines = lines.into_iter();
    let Some(Line::Run(run)) = lines.next() else {
        unreachable!("an import begins with its run");
    };
    let name = run.imported.as_ref().map(|Imported { run, .. }| run);
    let name = name.context("an import says what it was")?;
    let folder = options
        .out
        .unwrap_or_else(|| Path::new(REPORTS).join(format!("{name}-api-benchmarks")));
    let mut log = Log::begin(&folder, *run)?;
    for line in lines {
        log.append(line)?;
    }
    drop(log);
    report::report(&ReportOptions {
        folder,
        baseline: options.baseline,
        json: false,
    })
}
