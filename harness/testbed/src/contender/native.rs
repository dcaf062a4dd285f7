//! A contender as a process of this machine.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;
use tempfile::TempDir;

use super::Native;
use super::log::Bound;
use crate::cpus::Cpus;
use crate::process::{self, MARK, Output, Program, Watchdog};

/// Signal to end: all contenders of the field end on it, one of them does not on SIGTERM. The time
/// is short because some never end in order.
const STOP: (Signal, Duration) = (Signal::INT, Duration::from_secs(3));

/// Variables of the caller that the runtime of a language may need.
const PASSED_ON: [&str; 4] = ["HOME", "LANG", "TMPDIR", "USER"];

/// The process group of a contender.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) process: process::Process,
    _log: Bound,
    /// Holds the log.
    _folder: TempDir,
}

impl Process {
    /// Starts it; its build has run.
    ///
    /// # Errors
    /// Its folder does not exist.
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
        let shell = Program::new("/bin/sh")
            .argument("-c")
            .argument(&how.command)
            .passing_on(&PASSED_ON)
            .folder(&how.folder);
        let program = environment.iter().fold(shell, |program, (name, value)| {
            program.variable(name, value)
        });
        let program = program.variable(MARK, folder.path());
        let log = folder.path().join("contender.log");
        let output = Output::Log(log.clone());
        let watchdog = Watchdog::new(Some(folder.path()))?;
        let start = || process::Process::start("contender", &program, output, STOP, &watchdog);
        let process = match cpus {
            Some(cpus) => cpus.with(start),
            None => start(),
        }?;
        Ok(Self {
            process,
            _log: Bound::of(&log)?,
            _folder: folder,
        })
    }

    /// Returns an error with the end of its log if it has ended.
    ///
    /// # Errors
    /// The system refuses to say.
    pub(super) fn ended(&self) -> Result<Option<anyhow::Error>> {
        let ended = self.process.has_exited()?;
        Ok(ended.then(|| self.process.ended()))
    }
}
