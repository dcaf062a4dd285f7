//! A service of the suite as a child process, for tests of exit codes, signals and its log.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::OFlags;
use rustix::pipe::PIPE_BUF;
use rustix::process::{Pid, Signal, kill_process};
use schema::env::EXIT_COULD_NOT_RUN;

/// A running service; killed when it is dropped.
#[derive(Debug)]
pub struct Service {
    child: Child,
    log: BufReader<ChildStderr>,
    address: SocketAddr,
}

impl Service {
    /// Starts `command` with the bench environment on a free port of 127.0.0.1 and waits until it logs
    /// its address. Variables that `command` sets win.
    ///
    /// # Errors
    /// It cannot be started, or ends before it listens; the error shows its first line.
    pub fn start(command: &mut Command) -> Result<Self> {
        let own: Vec<_> = command
            .get_envs()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
            .collect();
        let mut child = command
            .env_clear()
            .envs(schema::env::bench())
            .envs([("HOST", "127.0.0.1"), ("PORT", "0")])
            .envs(own)
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {command:?}"))?;
        let stderr = child.stderr.take().context("no stderr")?;
        let mut service = Self {
            child,
            log: BufReader::new(stderr),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let mut line = String::new();
        service
            .log
            .read_line(&mut line)
            .context("reading the log")?;
        let address = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix("address="));
        let Some(address) = address else {
            bail!("the service does not listen: {}", line.trim_end());
        };
        service.address = address.parse().context("its address")?;
        Ok(service)
    }

    /// Returns the address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the process id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Returns the rest of its log, once it has ended.
    ///
    /// # Errors
    /// The log is not UTF-8.
    pub fn rest_of_log(&mut self) -> Result<String> {
        let mut log = String::new();
        self.log
            .read_to_string(&mut log)
            .context("reading the log")?;
        Ok(log)
    }

    /// Fills the pipe of its log, and returns the number of bytes.
    ///
    /// # Errors
    /// It has ended.
    pub fn fill_log(&self) -> Result<usize> {
        let path = format!("/proc/{}/fd/2", self.pid());
        let mut pipe = OpenOptions::new()
            .write(true)
            .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
            .open(path)?;
        let mut filled = 0;
        while let Ok(written) = pipe.write(&[b'\n'; PIPE_BUF]) {
            filled += written;
        }
        Ok(filled)
    }

    /// Reads so many bytes of its log.
    ///
    /// # Errors
    /// It has ended before.
    pub fn read_log(&mut self, length: usize) -> Result<()> {
        self.log
            .read_exact(&mut vec![0; length])
            .context("reading the log")
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(self.pid(), signal).context("signalling")
    }

    /// Returns true if it has not ended.
    ///
    /// # Errors
    /// The system refuses to say.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Waits for its end for at most `time`.
    ///
    /// # Errors
    /// It still runs.
    pub fn wait_within(&mut self, time: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + time;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("still running after {time:?}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Runs `command`, which must reject its environment, and returns its one line on standard error.
///
/// # Errors
/// It cannot be run, its exit code is not [`EXIT_COULD_NOT_RUN`], or it prints anything else.
pub fn refusal(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("running {command:?}"))?;
    let said = String::from_utf8(output.stderr).context("reading standard error")?;
    ensure!(
        output.status.code() == Some(EXIT_COULD_NOT_RUN.into()),
        "{}: {said}",
        output.status
    );
    ensure!(said.lines().count() == 1, "not one line: {said}");
    ensure!(output.stdout.is_empty(), "it writes to standard output");
    Ok(said.trim_end().to_owned())
}

impl Drop for Service {
    fn drop(&mut self) {
        // Both fail only if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
