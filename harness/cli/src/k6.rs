//! `harness k6`: the scripts of the engine `k6` and their inputs, for a load from another machine.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use schema::env::JWT_SECRET;

use super::external::secret;
use load::k6_files;
use testbed::terminal::print;

/// Options of `harness k6`.
#[derive(Args, Debug)]
pub(super) struct K6Options {
    /// Folder to write to: a folder for each scenario, and users.sql
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Number of users; their tokens and movies are sent in turn
    #[arg(long, value_name = "NUMBER", default_value_t = 1000,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    users: u32,
}

/// Runs the command.
pub(super) fn write(options: &K6Options) -> Result<()> {
    let secret = secret(&JWT_SECRET)?;
    for path in k6_files::write(&options.folder, options.users as usize, &secret)? {
        print(path.display());
    }
    Ok(())
}
