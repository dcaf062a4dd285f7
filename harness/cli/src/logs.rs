//! `harness logs`: the logs of the services that `up` started.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;
use testbed::state::State;

use super::status::SERVICES;

/// Last lines of a log that are printed.
const LINES: &str = "200";

/// Options of `harness logs`.
#[derive(Args, Debug)]
pub(super) struct LogsOptions {
    /// Keep printing lines as they are written
    #[arg(short, long)]
    follow: bool,
    /// Print one service's log only
    #[arg(value_parser = SERVICES)]
    name: Option<String>,
}

/// Runs the command: the process becomes a `tail`.
///
/// # Errors
/// There is no log or no `tail`.
pub(super) fn logs(options: &LogsOptions) -> Result<()> {
    let state = State::find()?;
    let name = options.name.as_deref();
    let logs = SERVICES
        .into_iter()
        .filter(|service| name.is_none_or(|name| name == *service))
        .map(|service| state.daemon(service).log())
        .filter(|log| log.exists())
        .collect::<Vec<_>>();
    ensure!(
        !logs.is_empty(),
        "{} has no logs: `harness up` writes them",
        state.folder().display()
    );
    let follow = options.follow.then_some("-F");
    let mut tail = Command::new("tail");
    tail.args(["-n", LINES]).args(follow).args(logs);
    Err(tail.exec()).context("running tail")
}
