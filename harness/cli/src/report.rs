//! `harness report`: writes the reports of a run again, from its raw results.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use load::report::scale::{self, Scale};
use load::standings::Standings;
use load::{report, results};
use testbed::terminal::{print, show};

/// Options of `harness report`.
#[derive(Args, Debug)]
pub(super) struct ReportOptions {
    /// Folder of a run, with its results.jsonl
    #[arg(value_name = "DIR")]
    pub(super) folder: PathBuf,
    /// Contender whose score is 1 [default: the first that is not the limit]
    #[arg(long, value_name = "NAME")]
    pub(super) baseline: Option<String>,
    /// Print the standings as JSON and write nothing
    #[arg(long)]
    pub(super) json: bool,
}

/// Runs the command.
pub(super) fn report(options: &ReportOptions) -> Result<()> {
    let (folder, baseline) = (&options.folder, options.baseline.as_deref());
    let runs = scale::folders(folder)?;
    let text = if runs.is_empty() {
        let results = results::read(folder)?;
        if options.json {
            print(report::json(&results, baseline)?);
            return Ok(());
        }
        let standings = Standings::of(&results, results.baseline(baseline)?);
        report::summary(&results, &standings, report::terminal_width())
    } else {
        let scale = Scale::read(folder)?;
        if options.json {
            print(scale.json()?);
            return Ok(());
        }
        scale.text()
    };
    let mut written = Vec::new();
    for run in &runs {
        written.extend(report::write(run, baseline)?);
    }
    written.extend(match runs.is_empty() {
        true => report::write(folder, baseline)?,
        false => scale::write(folder)?,
    });
    show(&text);
    print("");
    for path in written {
        print(path.display());
    }
    Ok(())
}
