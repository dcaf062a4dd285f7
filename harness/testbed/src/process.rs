//! Child processes: the program to run, and its supervision. A [`Process`] ends with the harness, a
//! [`Daemon`] outlives it.

mod daemon;
mod program;
mod watchdog;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::interrupt::Interrupt;

pub use daemon::Daemon;
pub(crate) use program::fnv1a;
pub use program::{Output, Program};
pub(crate) use watchdog::MARK;
pub use watchdog::Watchdog;

/// Time to end after SIGKILL.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// Lines of a log that an error shows.
const TAIL_LINES: usize = 10;

/// Bytes at the end of a log that are searched for these lines.
const TAIL_BYTES: u64 = 16 * 1024;

/// A process in a process group of its own. It is stopped when this is dropped, and by the watchdog
/// when the harness is killed.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    child: Child,
    log: Option<PathBuf>,
    watchdog: Arc<Watchdog>,
    /// Signal to end in order, and the time for it.
    stop: (Signal, Duration),
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts `program`. `stop` is the signal to end in order, and the time for it.
    ///
    /// # Errors
    /// The program or its folder does not exist, or the log cannot be written.
    pub fn start(
        name: &'static str,
        program: &Program,
        output: Output,
        stop: (Signal, Duration),
        watchdog: &Arc<Watchdog>,
    ) -> Result<Self> {
        let log = output.log().map(Path::to_path_buf);
        let child = program
            .command(output)?
            .spawn()
            .with_context(|| format!("starting {name} ({})", program.path.display()))?;
        watchdog.watch(child.id());
        Ok(Self {
            name,
            child,
            log,
            watchdog: Arc::clone(watchdog),
            stop,
            status: None,
        })
    }

    /// Returns the id of the first process, which is also that of the group.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends a signal to the process group.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process_group(self.pid(), signal)
            .with_context(|| format!("sending {signal:?} to {}", self.name))
    }

    /// Returns true if the first process has exited. It is not reaped, so its resource usage can
    /// still be read.
    ///
    /// # Errors
    /// The system refuses to say.
    pub fn has_exited(&self) -> Result<bool> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(self.pid()), options) {
            Ok(status) => Ok(status.is_some()),
            // It was reaped.
            Err(Errno::CHILD) => Ok(true),
            Err(error) => Err(error).with_context(|| format!("waiting for {}", self.name)),
        }
    }

    /// Waits for the exit of the first process; none after `time`.
    ///
    /// # Errors
    /// Interrupted.
    pub fn wait_within(
        &mut self,
        time: Duration,
        interrupt: &Interrupt,
    ) -> Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = interrupt.wait(time, || Ok(self.child.try_wait()?))?;
        }
        Ok(self.status)
    }

    /// Stops the process group: by its signal, and by SIGKILL what is left after the time for that.
    ///
    /// # Errors
    /// It survives SIGKILL.
    pub fn stop(&mut self) -> Result<()> {
        let never = Interrupt::never();
        let (signal, time) = self.stop;
        if self.status.is_none() {
            // Fails only if the whole group has ended.
            let _ = self.signal(signal);
            let ended = never.wait(time, || Ok(self.has_exited()?.then_some(())))?;
            if ended.is_none() {
                eprintln!("{}: did not end within {time:?}, killing it", self.name);
            }
            // Background children of a shell ignore SIGINT. The group id is not reused before the
            // first process is reaped.
            let _ = self.signal(Signal::KILL);
            self.wait_within(KILL_TIMEOUT, &never)?
                .with_context(|| format!("{} is still running after SIGKILL", self.name))?;
        }
        self.watchdog.disarm();
        Ok(())
    }

    /// Returns an error with the exit status and the end of the log.
    pub fn ended(&self) -> anyhow::Error {
        let status = self
            .status
            .map_or_else(String::new, |status| format!(" ({status})"));
        anyhow!("{} has ended{status}; {}", self.name, self.tail())
    }

    /// Returns the path of the log and its last lines.
    pub fn tail(&self) -> String {
        self.log.as_deref().map_or_else(String::new, tail)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("{error:#}");
        }
    }
}

/// Returns the path of a log and its last lines.
fn tail(path: &Path) -> String {
    let end = || {
        let mut log = File::open(path)?;
        let length = log.metadata()?.len();
        log.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut end = Vec::new();
        log.take(TAIL_BYTES).read_to_end(&mut end)?;
        io::Result::Ok(end)
    };
    let end = end().unwrap_or_default();
    let log = String::from_utf8_lossy(&end);
    let lines: Vec<&str> = log.lines().collect();
    let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n  ");
    format!("the end of {}:\n  {tail}", path.display())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::thread::sleep;

    use rustix::process::test_kill_process;

    use super::*;

    const STOP: (Signal, Duration) = (Signal::INT, Duration::from_secs(10));

    fn shell(script: &str) -> Program {
        Program::new("/bin/sh").argument("-c").argument(script)
    }

    fn start(script: &str, folder: &Path, watchdog: &Arc<Watchdog>) -> Process {
        let log = Output::Log(folder.join("log"));
        Process::start("shell", &shell(script), log, STOP, watchdog).unwrap()
    }

    /// Waits for the process id that the script prints first.
    fn printed_pid(folder: &Path) -> Pid {
        for _ in 0..2000 {
            let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
            if let Some((line, _)) = log.split_once('\n') {
                return Pid::from_raw(line.parse().unwrap()).unwrap();
            }
            sleep(Duration::from_millis(5));
        }
        panic!("nothing was printed");
    }

    /// Fails unless the process ends soon; a zombie has ended.
    fn assert_ends(pid: Pid) {
        for _ in 0..2000 {
            let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
            if test_kill_process(pid).is_err() || stat.is_ok_and(|stat| stat.contains(") Z ")) {
                return;
            }
            sleep(Duration::from_millis(5));
        }
        panic!("process {pid} still runs");
    }

    #[test]
    fn failed_process_is_reported_with_the_end_of_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let watchdog = Watchdog::new(None).unwrap();
        let mut process = start("echo one; echo two >&2; exit 3", folder.path(), &watchdog);
        let status = process.wait_within(STOP.1, &Interrupt::never()).unwrap();
        assert_eq!(status.unwrap().code(), Some(3));
        assert!(process.has_exited().unwrap());
        let error = process.ended().to_string();
        assert!(
            error.starts_with("shell has ended (exit status: 3)"),
            "{error}"
        );
        assert!(error.ends_with(":\n  one\n  two"), "{error}");
    }

    #[test]
    fn interrupt_ends_the_wait() {
        let folder = tempfile::tempdir().unwrap();
        let watchdog = Watchdog::new(None).unwrap();
        let mut process = start("sleep 60", folder.path(), &watchdog);
        let waited = process.wait_within(STOP.1, &Interrupt::set());
        assert_eq!(waited.unwrap_err().to_string(), "interrupted");
    }

    #[test]
    fn dropped_process_ends_with_its_background_children() {
        let folder = tempfile::tempdir().unwrap();
        let watchdog = Watchdog::new(None).unwrap();
        let process = start("sleep 60 & echo $!; wait", folder.path(), &watchdog);
        let child = printed_pid(folder.path());
        drop(process);
        assert_ends(child);
    }

    /// The end of the pipe to the watchdog is what it sees of a killed harness.
    #[test]
    fn watchdog_ends_the_process_of_a_killed_harness_and_removes_its_folder() {
        let folder = tempfile::tempdir().unwrap().keep();
        let watchdog = Watchdog::new(Some(&folder)).unwrap();
        let program = shell("echo $$; sleep 60").variable(MARK, &folder);
        let log = Output::Log(folder.join("log"));
        let process = Process::start("shell", &program, log, STOP, &watchdog).unwrap();
        let pid = printed_pid(&folder);
        // Neither of the two is dropped by a killed process.
        let process = std::mem::ManuallyDrop::new(process);
        watchdog.close();
        assert_ends(pid);
        for _ in 0..2000 {
            if !folder.exists() {
                drop(std::mem::ManuallyDrop::into_inner(process));
                return;
            }
            sleep(Duration::from_millis(5));
        }
        panic!("{} is still there", folder.display());
    }
}
