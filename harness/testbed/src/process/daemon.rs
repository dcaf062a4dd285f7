//! Processes that outlive the command that started them.
//!
//! The standard input of a daemon is its lock file, locked by `flock`: the lock belongs to the open
//! file that the process inherited, and lasts as long as the process or a child of it. A held lock
//! therefore means "it runs", and a reused process id is never signalled. The first act of the
//! daemon is to write its process id into that file.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};

use super::{KILL_TIMEOUT, Output, Program, tail};
use crate::interrupt::Interrupt;
use crate::lock::lock_within;

/// Time from the lock to the process id in it, and for a `status` at the same moment to end.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// Time to end in order; longer than the drain of the services.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// A daemon: a name in a folder that holds its lock and its log.
#[derive(Clone, Debug)]
pub struct Daemon {
    name: &'static str,
    folder: PathBuf,
}

impl Daemon {
    /// Names a daemon, which may run or not.
    pub fn new(folder: &Path, name: &'static str) -> Self {
        let folder = folder.to_path_buf();
        Self { name, folder }
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the path of its log.
    pub fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }

    fn lock(&self) -> PathBuf {
        self.folder.join(format!("{}.lock", self.name))
    }

    /// Returns the process id if it runs.
    ///
    /// # Errors
    /// The lock file cannot be read, or is held but names no process.
    pub fn running(&self) -> Result<Option<Pid>> {
        let path = self.lock();
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(anyhow!(error).context(format!("opening {}", path.display()))),
        };
        let found = Interrupt::never().wait(LOCK_TIMEOUT, || {
            match file.try_lock_shared() {
                Ok(()) => return file.unlock().map(|()| Some(None)).map_err(Into::into),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
            let text = fs::read_to_string(&path).unwrap_or_default();
            // It is complete only with its line end.
            let pid = text
                .strip_suffix('\n')
                .and_then(|pid| Pid::from_raw(pid.parse().ok()?));
            Ok(pid.map(Some))
        });
        found
            .with_context(|| format!("looking at {}", path.display()))?
            .ok_or_else(|| anyhow!("{} is locked but names no process", path.display()))
    }

    /// Starts it in a process group of its own, with the log emptied.
    ///
    /// # Errors
    /// It runs already, or cannot be started.
    pub fn start(&self, program: &Program) -> Result<Child> {
        let lock = self.locked()?;
        program
            .announcing_its_id()
            .command(Output::Log(self.log()))?
            .stdin(lock)
            .spawn()
            .with_context(|| format!("starting {} ({})", self.name, program.path.display()))
    }

    /// Returns the lock file, emptied and locked.
    fn locked(&self) -> Result<File> {
        let path = self.lock();
        let lock = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .open(&path)
            .with_context(|| format!("opening {}", path.display()))?;
        let taken = lock_within(LOCK_TIMEOUT, &lock);
        if !taken.with_context(|| format!("locking {}", path.display()))? {
            bail!("{} runs already: {} is locked", self.name, path.display());
        }
        lock.set_len(0)
            .with_context(|| format!("emptying {}", path.display()))?;
        Ok(lock)
    }

    /// Stops its process group by `signal`, and by SIGKILL if it does not end in time. Returns the
    /// process id if it ran.
    ///
    /// # Errors
    /// It cannot be signalled, or survives SIGKILL.
    pub fn stop(&self, signal: Signal) -> Result<Option<Pid>> {
        let Some(pid) = self.running()? else {
            return Ok(None);
        };
        delivered(kill_process_group(pid, signal))
            .with_context(|| format!("stopping {} ({pid})", self.name))?;
        if !self.ends_within(STOP_TIMEOUT)? {
            eprintln!(
                "{}: did not end within {STOP_TIMEOUT:?}, killing it",
                self.name
            );
            delivered(kill_process_group(pid, Signal::KILL))
                .with_context(|| format!("killing {} ({pid})", self.name))?;
            if !self.ends_within(KILL_TIMEOUT)? {
                bail!(
                    "{} (process {pid}) is still running after SIGKILL",
                    self.name
                );
            }
        }
        Ok(Some(pid))
    }

    fn ends_within(&self, time: Duration) -> Result<bool> {
        let ended =
            Interrupt::never().wait(time, || Ok(self.running()?.is_none().then_some(())))?;
        Ok(ended.is_some())
    }

    /// Returns an error with the exit status, if it is known, and the end of the log.
    pub fn ended(&self, status: Option<ExitStatus>) -> anyhow::Error {
        let status = status.map_or_else(String::new, |status| format!(" ({status})"));
        anyhow!("{} has ended{status}; {}", self.name, tail(&self.log()))
    }
}

/// Accepts that a process has ended before its signal.
fn delivered(result: rustix::io::Result<()>) -> rustix::io::Result<()> {
    match result {
        Err(Errno::SRCH) => Ok(()),
        other => other,
    }
}
