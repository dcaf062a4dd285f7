//! `harness compare`: the changes from one run to another.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use load::compare::Comparison;
use load::results;
use testbed::terminal::print;

/// Options of `harness compare`.
#[derive(Args, Debug)]
pub(super) struct CompareOptions {
    /// Folder or results.jsonl of the first run
    before: PathBuf,
    /// Folder or results.jsonl of the second run
    after: PathBuf,
    /// Print Markdown
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn compare(options: &CompareOptions) -> Result<()> {
    let (before, after) = (
        results::read(&options.before)?,
        results::read(&options.after)?,
    );
    let comparison = Comparison::between(&before, &after);
    let text = if options.json {
        serde_json::to_string_pretty(&comparison)?
    } else if options.markdown {
        comparison.markdown()
    } else {
        comparison.text()
    };
    print(text.trim_end());
    Ok(())
}
