//! Processes that outlive the command that started them.
//!
//! A daemon's standard input is its lock file, locked by `flock`: the lock belongs to the open file
//! that the process inherited and lasts exactly as long as it (or a child of it) lives. So "runs"
//! means "the lock is held", whatever became of the command that started it, and a process id
//! that was given to somebody else is never taken for ours. The daemon's first act is to write its
//! process id into that file.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::account::Account;
use crate::interrupt::Interrupt;
use crate::lock::lock_within;
use crate::program::Program;

/// Time from taking the lock to the process id in it, and for a short look of `status` to end.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// Time to end in order; longer than the drain of the services.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// Time to be gone after SIGKILL.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// Lines of a log that an error shows.
const TAIL_LINES: usize = 10;

/// Bytes of a log that these lines are looked for in.
const TAIL_BYTES: u64 = 16 * 1024;

/// One daemon: a name in a folder that holds its lock and its log.
#[derive(Clone, Debug)]
pub struct Daemon {
    name: &'static str,
    folder: PathBuf,
}

impl Daemon {
    /// The daemon of this name, whether it runs or not.
    pub fn new(folder: &Path, name: &'static str) -> Self {
        let folder = folder.to_path_buf();
        Self { name, folder }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Where its standard output and error go.
    pub fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }

    fn lock(&self) -> PathBuf {
        self.folder.join(format!("{}.lock", self.name))
    }

    /// The process id if it runs.
    ///
    /// # Errors
    /// The lock file cannot be read, or is held by somebody who does not say who it is.
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
            // Complete only with its line end.
            let pid = text
                .strip_suffix('\n')
                .and_then(|pid| Pid::from_raw(pid.parse().ok()?));
            Ok(pid.map(Some))
        });
        found
            .with_context(|| format!("looking at {}", path.display()))?
            .ok_or_else(|| anyhow!("{} is locked but names no process", path.display()))
    }

    /// Starts it in a process group of its own, out of reach of the terminal's Ctrl-C, with the log
    /// emptied. It must not run yet.
    ///
    /// # Errors
    /// It runs already, or cannot be started.
    pub fn start(&self, program: &Program, account: &Account) -> Result<Child> {
        let lock = self.locked()?;
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log())
            .and_then(|log| log.set_len(0).map(|()| log))
            .with_context(|| format!("opening {}", self.log().display()))?;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", r#"echo "$$" >&0; exec "$@""#, "sh"])
            .arg(&program.path)
            .args(&program.arguments)
            .env_clear()
            .envs(
                program
                    .environment
                    .iter()
                    .map(|(name, value)| (name, value)),
            )
            .current_dir(&program.folder)
            .stdin(lock)
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        account.run_as(&mut command);
        command
            .spawn()
            .with_context(|| format!("starting {} ({})", self.name, program.path.display()))
    }

    /// The lock file, emptied and locked.
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

    /// Asks it and its process group to end by `signal`, waits, and ends them by SIGKILL if they do
    /// not. Gives the process id if it ran.
    ///
    /// # Errors
    /// It cannot be signalled, or outlives SIGKILL.
    pub fn stop(&self, signal: Signal) -> Result<Option<Pid>> {
        let Some(pid) = self.running()? else {
            return Ok(None);
        };
        delivered(kill_process_group(pid, signal))
            .with_context(|| format!("stopping {} ({pid})", self.name))?;
        if !self.gone_within(STOP_TIMEOUT)? {
            eprintln!(
                "{}: did not end within {STOP_TIMEOUT:?}, killing it",
                self.name
            );
            delivered(kill_process_group(pid, Signal::KILL))
                .with_context(|| format!("killing {} ({pid})", self.name))?;
            if !self.gone_within(KILL_TIMEOUT)? {
                bail!("{} (process {pid}) is still there after SIGKILL", self.name);
            }
        }
        Ok(Some(pid))
    }

    fn gone_within(&self, time: Duration) -> Result<bool> {
        let gone = Interrupt::never().wait(time, || Ok(self.running()?.is_none().then_some(())))?;
        Ok(gone.is_some())
    }

    /// An error that says how it ended and shows the end of its log.
    pub fn ended(&self, status: Option<ExitStatus>) -> anyhow::Error {
        let how = status.map_or_else(String::new, |status| format!(" ({status})"));
        anyhow!("{} has ended{how}; {}", self.name, self.tail())
    }

    /// Where its log is, and the end of it.
    pub fn tail(&self) -> String {
        let end = || {
            let mut log = File::open(self.log())?;
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
        format!("the end of {}:\n  {tail}", self.log().display())
    }
}

/// A process that is gone already needs no signal.
fn delivered(result: rustix::io::Result<()>) -> rustix::io::Result<()> {
    match result {
        Err(Errno::SRCH) => Ok(()),
        other => other,
    }
}
