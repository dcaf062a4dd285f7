//! What a contender's command needs: the programs that its stanza names, and what its build makes.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, fs, thread};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process_group};

use super::Native;
use crate::interrupt::Interrupt;
use crate::watchdog::Watchdog;

/// Tells a build the folder of the file that lists the contender.
const CONTENDERS_DIR: &str = "CONTENDERS_DIR";

/// How often a wait looks again: as often as somebody who watches it may want to see something new.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

impl Native {
    /// Fails unless the folder is there that it builds and starts in.
    pub(super) fn has_folder(&self) -> Result<()> {
        ensure!(
            self.folder.is_dir(),
            "there is no folder {} to start it in",
            self.folder.display()
        );
        Ok(())
    }
}

/// A build that runs, in a process group of its own; it is ended when this is dropped.
pub struct Build<'a> {
    /// Its command line.
    line: &'a str,
    /// None once it has ended, or if nothing is to be built.
    shell: Option<Child>,
    /// Ends it if this process is killed.
    watchdog: Option<Watchdog>,
}

impl<'a> Build<'a> {
    /// Starts it, once all that it needs is there; what it says goes to `log`.
    ///
    /// # Errors
    /// A program or the folder is missing, and how to get it.
    pub fn start(how: &'a Native, log: impl Into<Stdio>) -> Result<Self> {
        let path = env::var_os("PATH").unwrap_or_default();
        for (program, remedy) in &how.needs {
            ensure!(is_in(&path, program), "{program} is missing: {remedy}");
        }
        how.has_folder()?;
        let Some(line) = how.build.as_deref() else {
            return Ok(Self {
                line: "",
                shell: None,
                watchdog: None,
            });
        };
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", &format!("exec >&2\n{line}")])
            .current_dir(&how.folder)
            .env(CONTENDERS_DIR, &how.listed_in)
            .stdin(Stdio::null())
            .stderr(log)
            .process_group(0);
        let mut watchdog = Watchdog::of_processes()?;
        let shell = command.spawn();
        let shell = shell.with_context(|| format!("building in {}", how.folder.display()))?;
        watchdog.watch_group(shell.id());
        Ok(Self {
            line,
            shell: Some(shell),
            watchdog: Some(watchdog),
        })
    }

    /// Waits for its end; `watch` is called again and again until then.
    ///
    /// # Errors
    /// Interrupted, or it fails.
    pub fn wait(mut self, interrupt: &Interrupt, mut watch: impl FnMut()) -> Result<()> {
        let Some(shell) = &mut self.shell else {
            return Ok(());
        };
        let status = loop {
            interrupt.check()?;
            if let Some(status) = shell.try_wait().context("waiting for the build")? {
                break status;
            }
            watch();
            thread::sleep(POLL_INTERVAL);
        };
        self.shell = None;
        self.rest();
        if !status.success() {
            bail!("`{}` failed ({status})", self.line);
        }
        Ok(())
    }

    fn rest(&mut self) {
        if let Some(watchdog) = &mut self.watchdog {
            watchdog.rest();
        }
    }
}

impl Drop for Build<'_> {
    fn drop(&mut self) {
        let Some(shell) = &mut self.shell else { return };
        // The group is still this one's: its number is free only once the shell was waited for.
        let _ = kill_process_group(Pid::from_child(shell), Signal::KILL);
        let _ = shell.wait();
        self.rest();
    }
}

/// Whether one of the folders of a search path has this program.
fn is_in(path: &OsStr, program: &str) -> bool {
    let is_program = |file: &Path| {
        fs::metadata(file)
            .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    env::split_paths(path).any(|folder| is_program(&folder.join(program)))
}
