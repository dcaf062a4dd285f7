//! `harness down`: stops what `up` started.

use anyhow::Result;
use clap::Args;
use rustix::process::Signal;
use testbed::interrupt::Interrupt;
use testbed::postgres::{FAST_SHUTDOWN, remove_stand_in};
use testbed::state::State;
use testbed::terminal::print;

use super::status::SERVICES;

/// Options of `harness down`.
#[derive(Args, Debug)]
pub(super) struct DownOptions {
    /// Remove the cluster and the logs too
    #[arg(long)]
    purge: bool,
}

/// Runs the command. Once a service is being stopped, Ctrl-C does not interrupt it.
///
/// # Errors
/// Interrupted while another command holds the state, a process does not exit, or the state cannot be
/// removed.
pub(super) fn down(options: &DownOptions) -> Result<()> {
    let state = State::find()?;
    if !state.exists() {
        print("nothing was running");
        return Ok(());
    }
    let lock = state.lock(&Interrupt::by_signal()?)?;
    let mut stopped = 0;
    for name in SERVICES {
        let signal = match name {
            "postgres" => FAST_SHUTDOWN,
            _ => Signal::TERM,
        };
        if let Some(pid) = state.daemon(name).stop(signal)? {
            print(format_args!("{name}: stopped (process {pid})"));
            stopped += 1;
        }
    }
    if stopped == 0 {
        print("nothing was running");
    }
    if options.purge {
        remove_stand_in(state.folder())?;
        state.remove(&lock)?;
        print(format_args!("removed {}", state.folder().display()));
    }
    Ok(())
}
