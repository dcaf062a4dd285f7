//! A load generator of somebody else's: a process group with a folder for its files, which ends
//! with this process.

use std::env;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::watch::Watch;
use testbed::process::Watchdog;

/// Time between two looks at a tool.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// What a tool may take longer than it was told to: k6 waits for 30 s for the last answers.
const OVERTIME: Duration = Duration::from_secs(60);

/// What the tool says, and what it complains of.
const STDOUT: &str = "stdout";
const STDERR: &str = "stderr";

/// Variables of the caller that a tool sees: neither a proxy nor the tool's own options.
const PASSED_ON: [&str; 2] = ["PATH", "HOME"];

/// An executable.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tool {
    pub(super) name: &'static str,
    /// How to install it.
    pub(super) install: &'static str,
}

impl Tool {
    /// The first line of what it says with this argument.
    ///
    /// # Errors
    /// It is not there; says how to get it.
    pub(super) fn version(&self, argument: &str) -> Result<String> {
        let said = self.command().arg(argument).output();
        let Output { stdout, .. } = said.map_err(|error| self.explain(error))?;
        let said = String::from_utf8_lossy(&stdout);
        Ok(said.lines().next().unwrap_or_default().trim().to_owned())
    }

    /// A command line of it, without arguments.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(self.name);
        let passed_on = PASSED_ON.map(|name| (name, env::var_os(name)));
        command.env_clear();
        for (name, value) in passed_on {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        command
    }

    fn explain(&self, error: std::io::Error) -> anyhow::Error {
        if error.kind() == ErrorKind::NotFound {
            return anyhow::anyhow!("{} is missing: {}", self.name, self.install);
        }
        anyhow::Error::from(error).context(format!("running {}", self.name))
    }

    /// Starts a command line of it, which is to take so long.
    ///
    /// # Errors
    /// It is not there, or the system's.
    pub(super) fn start<'f>(
        &self,
        mut command: Command,
        folder: &'f mut Folder,
        time: Duration,
    ) -> Result<Running<'f>> {
        let file = |name| {
            let path = folder.path(name);
            File::create(&path).with_context(|| format!("writing {}", path.display()))
        };
        command
            .stdin(Stdio::null())
            .stdout(file(STDOUT)?)
            .stderr(file(STDERR)?)
            .current_dir(&folder.path)
            .process_group(0);
        let child = command.spawn().map_err(|error| self.explain(error))?;
        folder.watchdog.watch(child.id());
        Ok(Running {
            name: self.name,
            child,
            folder,
            deadline: Instant::now() + time + OVERTIME,
        })
    }
}

/// A folder for a tool's files; it goes with this value, and with this process.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    watchdog: Arc<Watchdog>,
}

impl Folder {
    /// A new one.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn new() -> Result<Self> {
        let made = tempfile::Builder::new().prefix("suite-engine-").tempdir();
        let folder = made.context("making a folder for temporary files")?;
        let watchdog = Watchdog::new(Some(folder.path()))?;
        // The watchdog removes it from now on.
        let path = folder.keep();
        Ok(Self { path, watchdog })
    }

    /// Where a file of this name is.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path(name);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }

    /// Reads a file that the tool has written.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn read(&self, name: &str) -> Result<String> {
        let path = self.path(name);
        fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
    }
}

/// A tool that runs; its process group is killed when it is dropped.
#[derive(Debug)]
pub(super) struct Running<'f> {
    name: &'static str,
    child: Child,
    folder: &'f mut Folder,
    deadline: Instant,
}

impl Running<'_> {
    /// The tool's process.
    pub(super) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// The folder of its files.
    pub(super) fn folder(&self) -> &Folder {
        self.folder
    }

    /// Waits until it has ended, and lets `each` look in between. Its process, with what it has
    /// used, is still there then.
    ///
    /// # Errors
    /// It does not end, `each` fails, or this process was asked to end.
    pub(super) fn wait(
        &self,
        watch: &mut Watch<'_>,
        mut each: impl FnMut(&mut Watch<'_>) -> Result<()>,
    ) -> Result<()> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        loop {
            each(watch)?;
            let ended = waitid(WaitId::Pid(self.pid()), options);
            if ended.context("waiting for the engine")?.is_some() {
                return Ok(());
            }
            if Instant::now() > self.deadline {
                bail!("{} does not end", self.name);
            }
            watch.until(Instant::now() + LOOK_INTERVAL)?;
        }
    }

    /// What it said, once it has ended.
    ///
    /// # Errors
    /// It failed; its last line is told.
    pub(super) fn finish(mut self) -> Result<String> {
        let status = self.child.wait().context("waiting for the engine")?;
        if !status.success() {
            let complaints = self.folder.read(STDERR)?;
            let last = complaints.lines().last().unwrap_or("nothing is said");
            bail!("{} ended with {status}: {last}", self.name);
        }
        self.folder.read(STDOUT)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // Fails only if it has ended since.
            let _ = kill_process_group(self.pid(), Signal::KILL);
            let _ = self.child.wait();
        }
        self.folder.watchdog.disarm();
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{Pid, test_kill_process};

    use super::*;
    use testbed::interrupt::Interrupt;

    const SHELL: Tool = Tool {
        name: "sh",
        install: "it is everywhere",
    };

    fn shell(script: &str) -> Command {
        let mut command = SHELL.command();
        command.args(["-c", script]);
        command
    }

    fn wait(running: &Running<'_>) -> Result<()> {
        running.wait(&mut Watch::nobody(&Interrupt::never()), |_| Ok(()))
    }

    #[test]
    fn what_is_missing_says_how_to_get_it() {
        let tool = Tool {
            name: "no-such-engine",
            install: "install it from its vendor",
        };
        let error = tool.version("-v").unwrap_err();
        assert_eq!(
            error.to_string(),
            "no-such-engine is missing: install it from its vendor"
        );
    }

    #[test]
    fn what_it_says_is_read_when_it_has_ended() {
        let mut folder = Folder::new().unwrap();
        let path = folder.path.clone();
        let running = SHELL
            .start(shell("pwd"), &mut folder, Duration::ZERO)
            .unwrap();
        wait(&running).unwrap();
        assert!(PathBuf::from(format!("/proc/{}", running.child.id())).exists());
        let said = running.finish().unwrap();
        assert_eq!(PathBuf::from(said.trim_end()), path);
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn its_last_complaint_is_told_when_it_fails() {
        let mut folder = Folder::new().unwrap();
        let command = shell("echo one >&2; echo two >&2; exit 3");
        let running = SHELL.start(command, &mut folder, Duration::ZERO).unwrap();
        wait(&running).unwrap();
        let error = running.finish().unwrap_err();
        assert_eq!(error.to_string(), "sh ended with exit status: 3: two");
    }

    #[test]
    fn an_interrupt_ends_the_wait() {
        let mut folder = Folder::new().unwrap();
        let running = SHELL
            .start(shell("sleep 60"), &mut folder, Duration::ZERO)
            .unwrap();
        let error = running.wait(&mut Watch::nobody(&Interrupt::set()), |_| Ok(()));
        assert_eq!(error.unwrap_err().to_string(), "interrupted");
    }

    #[test]
    fn all_of_it_ends_with_its_owner() {
        let mut folder = Folder::new().unwrap();
        let command = shell("sleep 60 & echo $!; wait");
        let running = SHELL.start(command, &mut folder, Duration::ZERO).unwrap();
        let mut child = String::new();
        while child.is_empty() {
            child = running.folder().read(STDOUT).unwrap();
        }
        let child = Pid::from_raw(child.trim_end().parse().unwrap()).unwrap();
        drop(running);
        // Whoever inherits it may take a moment to see that it has ended.
        for _ in 0..1000 {
            let stat = fs::read_to_string(format!("/proc/{}/stat", child.as_raw_nonzero()));
            if test_kill_process(child).is_err() || stat.is_ok_and(|stat| stat.contains(") Z ")) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("it still runs");
    }
}
