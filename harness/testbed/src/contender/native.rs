//! A contender as a process of this machine, in a process group of its own.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use super::Native;
use super::log::Bound;
use crate::account::Account;
use crate::cpus::Cpus;
use crate::daemon::Daemon;
use crate::interrupt::Interrupt;
use crate::program::Program;
use crate::watchdog::{MARK, Watchdog};

/// Time to end in order; some that the field knows never do.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// Time to be gone after SIGKILL.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// Variables of the caller that a language's runtime may need.
const PASSED_ON: [&str; 4] = ["HOME", "LANG", "TMPDIR", "USER"];

/// The process and all it has started.
#[derive(Debug)]
pub(super) struct Process {
    daemon: Daemon,
    child: Child,
    _log: Bound,
    /// Ends it if this process is killed, and what has left its group in any case.
    watchdog: Watchdog,
    /// Holds its log.
    _folder: TempDir,
}

impl Process {
    /// Starts it; its build has run.
    ///
    /// # Errors
    /// There is no such folder, or no shell.
    pub(super) fn start(
        how: &Native,
        environment: &BTreeMap<String, String>,
        cpus: Option<&Cpus>,
    ) -> Result<Self> {
        how.has_folder()?;
        let folder = tempfile::Builder::new()
            .prefix("suite-contender-")
            .tempdir()
            .context("making a folder for the contender's log")?;
        let passed_on = PASSED_ON
            .iter()
            .filter_map(|name| Some((*name, env::var_os(name)?)));
        let shell = Program::new(PathBuf::from("/bin/sh"))
            .argument("-c")
            .argument(&how.command);
        let program = passed_on.fold(shell, |program, (name, value)| {
            program.variable(name, value)
        });
        let mut program = environment.iter().fold(program, |program, (name, value)| {
            program.variable(name, value)
        });
        program = program.variable(MARK, folder.path());
        program.folder.clone_from(&how.folder);

        let mut watchdog = Watchdog::start(folder.path())?;
        let daemon = Daemon::new(folder.path(), "contender");
        let start = || daemon.start(&program, &Account::current());
        let child = match cpus {
            Some(cpus) => cpus.with(start),
            None => start(),
        }?;
        watchdog.watch_group(child.id());
        Ok(Self {
            _log: Bound::of(&daemon.log())?,
            daemon,
            child,
            watchdog,
            _folder: folder,
        })
    }

    /// The first process.
    pub(super) fn root(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends a signal to its process group.
    ///
    /// # Errors
    /// It is gone.
    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        kill_process_group(self.root(), signal).context("signalling the contender")
    }

    /// Why it runs no more, if it does not.
    ///
    /// # Errors
    /// Its lock cannot be read.
    pub(super) fn ended(&self) -> Result<Option<anyhow::Error>> {
        let running = self.daemon.running()?;
        Ok(running.is_none().then(|| self.daemon.ended(None)))
    }

    /// The end of its log.
    pub(super) fn log(&self) -> String {
        self.daemon.tail()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The field's contenders end on SIGINT; one of them does not on SIGTERM.
        let _ = self.signal(Signal::INT);
        let never = Interrupt::never();
        let ended = never.wait(STOP_TIMEOUT, || {
            Ok(self.daemon.running()?.is_none().then_some(()))
        });
        match ended {
            Ok(Some(())) => {}
            Ok(None) => eprintln!("contender: did not end within {STOP_TIMEOUT:?}, killing it"),
            Err(error) => eprintln!("contender: {error:#}, killing it"),
        }
        // What a shell started in the background does not hear SIGINT. The group is still this
        // one's: its number is free only once the child was waited for.
        let _ = self.signal(Signal::KILL);
        let gone = never.wait(KILL_TIMEOUT, || Ok(self.child.try_wait()?));
        match gone {
            Ok(Some(_)) => self.watchdog.rest(),
            // The system still has it, and the watchdog goes on.
            _ => eprintln!("contender: is still there after SIGKILL"),
        }
    }
}
