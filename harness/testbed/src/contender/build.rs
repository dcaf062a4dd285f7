//! The build of a contender: the programs that its definition names, then its command line.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use super::Native;
use crate::interrupt::Interrupt;
use crate::process::{Output, Process, Program, Watchdog};

/// Tells a build the folder of the file that lists the contender.
const CONTENDERS_DIR: &str = "CONTENDERS_DIR";

/// Signal and time to end of an interrupted build.
const STOP: (Signal, Duration) = (Signal::TERM, Duration::from_secs(3));

/// Time for a build from nothing over a slow line.
const TIMEOUT: Duration = Duration::from_secs(3600);

impl Native {
    /// Fails unless the folder that it builds and starts in exists.
    pub(super) fn has_folder(&self) -> Result<()> {
        ensure!(
            self.folder.is_dir(),
            "there is no folder {} to start it in",
            self.folder.display()
        );
        Ok(())
    }

    /// Runs its build, if it has one, with its output on standard error.
    ///
    /// # Errors
    /// Interrupted, a program that it needs or its folder is missing, or it fails.
    pub(super) fn build(&self, interrupt: &Interrupt) -> Result<()> {
        let path = env::var_os("PATH").unwrap_or_default();
        for (program, remedy) in &self.needs {
            ensure!(is_in(&path, program), "{program} is missing: {remedy}");
        }
        self.has_folder()?;
        let Some(line) = self.build.as_deref() else {
            return Ok(());
        };
        let shell = Program::new("/bin/sh")
            .argument("-c")
            .argument(line)
            .passing_on_all()
            .variable(CONTENDERS_DIR, &self.listed_in)
            .folder(&self.folder);
        let watchdog = Watchdog::new(None)?;
        let mut build = Process::start("build", &shell, Output::Stderr, STOP, &watchdog)?;
        let status = build.wait_within(TIMEOUT, interrupt)?;
        let status = status.with_context(|| format!("`{line}` takes longer than {TIMEOUT:?}"))?;
        ensure!(status.success(), "`{line}` failed ({status})");
        Ok(())
    }
}

/// Returns true if a folder of this search path has the program.
fn is_in(path: &OsStr, program: &str) -> bool {
    let is_program = |file: &Path| {
        fs::metadata(file)
            .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    env::split_paths(path).any(|folder| is_program(&folder.join(program)))
}
