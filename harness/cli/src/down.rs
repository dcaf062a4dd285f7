//! `harness down`, `status` and `logs`: what `up` left running.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::service::recorded_port;
use testbed::interrupt::Interrupt;
use testbed::postgres::base::remove_stand_in;
use testbed::postgres::cluster::{FAST_SHUTDOWN, INITDB};
use testbed::postgres::embedded::DOWNLOAD;
use testbed::state::State;
use testbed::terminal::{postgres_url, print, table, url};

/// What runs after `up`, in the order in which it is stopped.
const SERVICES: [&str; 3] = ["target", "upstream", "postgres"];

/// What `up` runs for a while, and may have left behind if it was killed.
pub(crate) const HELPERS: [&str; 2] = [INITDB, DOWNLOAD];

/// Lines of a log that `logs` begins with.
const LOG_LINES: &str = "200";

/// Stops all that `up` has started, also one that crashed; `purge` removes the state too. Once
/// it is at work, Ctrl-C does not end it half way.
///
/// # Errors
/// Interrupted while it waits for another command, a process does not end, or the state cannot be
/// removed.
pub(crate) fn down(purge: bool) -> Result<()> {
    let state = State::find()?;
    if !state.exists() {
        print("nothing was running");
        return Ok(());
    }
    let lock = state.lock(&Interrupt::by_signal()?)?;
    let mut stopped = 0;
    for name in SERVICES.into_iter().chain(HELPERS) {
        let signal = if name == "postgres" {
            FAST_SHUTDOWN
        } else {
            Signal::TERM
        };
        if let Some(pid) = state.daemon(name).stop(signal)? {
            print(format_args!("{name}: stopped (process {pid})"));
            stopped += 1;
        }
    }
    if stopped == 0 {
        print("nothing was running");
    }
    if purge {
        remove_stand_in(state.folder())?;
        state.remove(&lock)?;
        print(format_args!("removed {}", state.folder().display()));
    }
    Ok(())
}

/// Prints what runs where; true if all does.
///
/// # Errors
/// The state cannot be read.
pub(crate) fn status() -> Result<bool> {
    let state = State::find()?;
    let mut rows = Vec::new();
    let mut all = true;
    for name in SERVICES {
        let running = state.daemon(name).running()?;
        let word = if running.is_some() {
            "running"
        } else {
            "stopped"
        };
        let port = recorded_port(&state, name).filter(|_| running.is_some());
        let url = port.map(|port| match name {
            "postgres" => postgres_url(port),
            _ => url(port),
        });
        all &= running.is_some();
        rows.push([
            name.to_owned(),
            word.to_owned(),
            running.map_or_else(String::new, |pid| pid.to_string()),
            url.unwrap_or_default(),
        ]);
    }
    print(table(["SERVICE", "STATE", "PROCESS", "URL"], rows));
    Ok(all)
}

/// The port of the native Postgres, if it runs.
pub(crate) fn running_postgres() -> Option<u16> {
    let state = State::find().ok()?;
    let running = state.daemon("postgres").running().ok()?;
    recorded_port(&state, "postgres").filter(|_| running.is_some())
}

/// Becomes a `tail` of the logs, of one service or all.
///
/// # Errors
/// There is no such log, or no `tail`.
pub(crate) fn logs(follow: bool, name: Option<&str>) -> Result<()> {
    let state = State::find()?;
    let logs = SERVICES
        .into_iter()
        .filter(|service| name.is_none_or(|name| name == *service))
        .map(|service| state.daemon(service).log())
        .filter(|log| log.exists())
        .collect::<Vec<_>>();
    if logs.is_empty() {
        bail!(
            "no logs in {}: `harness up` writes them",
            state.folder().display()
        );
    }
    let mut tail = Command::new("tail");
    tail.args(["-n", LOG_LINES]);
    if follow {
        tail.arg("-F");
    }
    Err(tail.args(logs).exec()).context("running tail")
}
