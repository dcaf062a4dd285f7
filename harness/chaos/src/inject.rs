//! Injects each fault, holds it, and removes it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use conformance::upstream::Behaviour;
use procfs::process::LimitValue;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};
use schema::fault::Fault as UpstreamFault;
use testbed::contender::{Contender, Native, Running};
use testbed::port::lasting_port;

use crate::background;
use crate::experiment::{Experiment, Process};
use crate::fault::Kind;
use crate::misbehaving::MisbehavingClients;
use crate::proxy::{Mode, Proxy};

/// Interval at which the contender's database connections are terminated.
const TERMINATE_INTERVAL: Duration = Duration::from_millis(500);

/// Time for a contender to exit after SIGTERM: longer than the drain of the suite's services.
const TERM_TIMEOUT: Duration = Duration::from_secs(20);

/// Time for connections to notice a reset.
const RESET_PAUSE: Duration = Duration::from_millis(50);

/// Time for the load's kept connections to be closed.
const CLOSE_PAUSE: Duration = Duration::from_millis(300);

/// File descriptors that a limited contender may still open.
const DESCRIPTORS_LEFT: u64 = 4;

/// Bytes in the pipe of a log: a page less than its capacity, so that the contender can log its start.
const LOGGED_BYTES: u32 = 60 * 1024;

/// Longest suspension: clients do not wait for ever.
const SUSPENDED_MAX: Duration = Duration::from_secs(8);

impl Experiment<'_> {
    /// Injects a fault, holds it, and removes it. Returns notes for the report.
    ///
    /// # Errors
    /// The run was interrupted, or the harness itself failed.
    pub(crate) fn inject(&mut self, kind: Kind) -> Result<Vec<String>> {
        let mut notes = Vec::new();
        match kind {
            Kind::None => self.wait_for_duration()?,
            Kind::PostgresStopped => self.stop_postgres(true)?,
            Kind::PostgresRestarted => self.stop_postgres(false)?,
            Kind::PostgresTerminated => self.terminate_connections()?,
            Kind::PostgresLocked => {
                let database = self.controls.database.context("no database")?;
                let lock = database.lock_table()?;
                self.wait_for_duration()?;
                drop(lock);
            }
            Kind::PostgresPort(mode) => self.inject_mode(self.controls.postgres_proxy, mode)?,
            Kind::UpstreamStopped => self.stop_upstream(true)?,
            Kind::UpstreamRestarted => self.stop_upstream(false)?,
            Kind::UpstreamPort(mode) => self.inject_mode(self.controls.upstream_proxy, mode)?,
            Kind::Upstream(fault) => self.show_upstream_fault(fault)?,
            Kind::Churn => {
                self.controls.load.set_churn(true);
                self.wait_for_duration()?;
                self.controls.load.set_churn(false);
            }
            Kind::Clients(behaviour) => {
                // Not on the proxies' thread: the clients cost the contender's time, not its peers'.
                let background = background("clients")?;
                let clients = MisbehavingClients::start(
                    behaviour,
                    self.controls.misbehaving_max,
                    &background,
                    self.controls.load.address(),
                    &self.controls.generator,
                );
                self.wait_for_duration()?;
                notes.push(clients.note());
            }
            Kind::Descriptors => notes.push(self.limit_descriptors()?),
            Kind::Terminated => {
                notes.push(self.terminate()?);
                self.start_again()?;
            }
            Kind::RollingRestart => notes = self.restart_rolling()?,
            Kind::Killed => {
                self.process()?.signal(Signal::KILL)?;
                self.restart()?;
            }
            Kind::Suspended => {
                let suspended = Suspended::stop(self.process()?.running()?.root()?)?;
                self.pause(self.controls.duration.min(SUSPENDED_MAX))?;
                drop(suspended);
            }
            Kind::LogStalled => {
                self.terminate()?;
                let stalled = with_stalled_log(self.process()?.contender)?;
                self.start_as(&stalled)?;
                self.show_upstream_fault(UpstreamFault::Status(500))?;
                notes.push(self.terminate()?);
                self.start_again()?;
            }
        }
        Ok(notes)
    }

    /// Returns how the contender exited, if it did.
    pub(crate) fn exited(&self) -> Option<String> {
        let running = self.controls.process.as_ref()?.running.as_ref()?;
        let error = running.must_run().err()?;
        Some(format!("{error:#}"))
    }

    /// Ends the contender's process, if there is one, and starts it again on its address.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn restart(&mut self) -> Result<()> {
        self.process()?.running = None;
        self.start_again()
    }

    fn start_again(&mut self) -> Result<()> {
        let contender = self.process()?.contender;
        self.start_as(contender)
    }

    fn start_as(&mut self, contender: &Contender) -> Result<()> {
        let (port, interrupt) = (self.home.port(), self.controls.interrupt);
        let process = self.process()?;
        let running = contender.start_on(port, false, process.environment, interrupt)?;
        let root = running.root()?;
        process.running = Some(running);
        if let Some(monitor) = &mut self.monitor {
            monitor.follow(root);
        }
        Ok(())
    }

    fn inject_mode(&mut self, proxy: Option<&Proxy>, mode: Mode) -> Result<()> {
        self.set_mode(proxy, mode)?;
        self.wait_for_duration()?;
        self.set_mode(proxy, Mode::Pass)
    }

    fn stop_postgres(&mut self, hold: bool) -> Result<()> {
        let database = self.controls.database.context("no database")?;
        let proxy = self.controls.postgres_proxy;
        self.set_mode(proxy, Mode::Refuse)?;
        database.while_stopped(|| match hold {
            true => self.wait_for_duration(),
            false => Ok(()),
        })??;
        self.set_mode(proxy, Mode::Pass)
    }

    fn terminate_connections(&mut self) -> Result<()> {
        let database = self.controls.database.context("no database")?;
        let end = Instant::now() + self.controls.duration;
        while Instant::now() < end {
            database.cut()?;
            let left = end.saturating_duration_since(Instant::now());
            self.pause(TERMINATE_INTERVAL.min(left))?;
        }
        Ok(())
    }

    fn stop_upstream(&mut self, hold: bool) -> Result<()> {
        let upstream = self.controls.upstream.context("no upstream")?;
        let proxy = self.controls.upstream_proxy;
        // No product is served until it is back.
        self.set_upstream(Behaviour::Fault(UpstreamFault::Reset));
        self.set_mode(proxy, Mode::Refuse)?;
        let held = upstream.while_refusing(|| match hold {
            true => self.wait_for_duration(),
            false => Ok(()),
        });
        self.serve_products();
        self.set_mode(proxy, Mode::Pass)?;
        held?
    }

    fn show_upstream_fault(&mut self, fault: UpstreamFault) -> Result<()> {
        self.set_upstream(Behaviour::Fault(fault));
        self.wait_for_duration()?;
        self.serve_products();
        if let UpstreamFault::Hang | UpstreamFault::Trickle = fault {
            // A hanging call ends with its connection.
            let proxy = self.controls.upstream_proxy;
            self.set_mode(proxy, Mode::Reset)?;
            self.pause(RESET_PAUSE)?;
            self.set_mode(proxy, Mode::Pass)?;
        }
        Ok(())
    }

    fn limit_descriptors(&mut self) -> Result<String> {
        self.controls.load.set_churn(true);
        self.pause(CLOSE_PAUSE)?;
        let processes = self.monitor.as_mut().context("no process")?.processes();
        let limited: Vec<_> = processes
            .into_iter()
            .filter_map(DescriptorLimit::lower)
            .collect();
        self.wait_for_duration()?;
        let note = format!("{} processes were limited", limited.len());
        drop(limited);
        self.controls.load.set_churn(false);
        Ok(note)
    }

    /// Moves the load to a second instance, restarts the first, and moves the load back.
    fn restart_rolling(&mut self) -> Result<Vec<String>> {
        let interrupt = self.controls.interrupt;
        let first = self.controls.load.address();
        let process = self.process()?;
        let (contender, environment) = (process.contender, process.environment);
        let second = contender.start_on(lasting_port()?, false, environment, interrupt)?;
        self.controls.load.set_address(second.address);
        let mut notes = vec![self.terminate()?];
        self.start_again()?;
        self.controls.load.set_address(first);
        second.signal(Signal::TERM)?;
        notes.push(self.await_exit_of(|_| Ok(second.must_run().is_err()))?);
        drop(second);
        Ok(notes)
    }

    fn terminate(&mut self) -> Result<String> {
        self.process()?.signal(Signal::TERM)?;
        let note = self.await_exit_of(|experiment| {
            let running = experiment.process()?.running.as_ref();
            Ok(running.is_none_or(|running| running.must_run().is_err()))
        })?;
        self.process()?.running = None;
        Ok(note)
    }

    fn await_exit_of(&mut self, exited: impl FnMut(&mut Self) -> Result<bool>) -> Result<String> {
        let begun = Instant::now();
        Ok(match self.wait(TERM_TIMEOUT, exited)? {
            true => format!(
                "exited {:.1} s after SIGTERM",
                begun.elapsed().as_secs_f64()
            ),
            false => format!("did not exit within {TERM_TIMEOUT:?} of SIGTERM and was killed"),
        })
    }
}

impl<'a> Experiment<'a> {
    fn process(&mut self) -> Result<&mut Process<'a>> {
        self.controls.process.as_mut().context("no process")
    }
}

impl Process<'_> {
    fn running(&self) -> Result<&Running> {
        self.running.as_ref().context("no process")
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        self.running()?.signal(signal)
    }
}

/// Returns the contender with a nearly full pipe for its output. It holds both ends of the pipe: a write blocks, and
/// does not fail.
fn with_stalled_log(contender: &Contender) -> Result<Contender> {
    let native = contender.natively()?;
    let command = format!(
        "log=$(mktemp -u) && mkfifo \"$log\" && exec 1<>\"$log\" 2>&1 && rm \"$log\" && \
         head -c {LOGGED_BYTES} /dev/zero && {}",
        native.command
    );
    Ok(Contender {
        native: Some(Native {
            command,
            ..native.clone()
        }),
        ..contender.clone()
    })
}

/// A suspended process group; dropping this resumes it.
struct Suspended(Pid);

impl Suspended {
    fn stop(root: Pid) -> Result<Self> {
        kill_process_group(root, Signal::STOP).context("suspending the contender")?;
        Ok(Self(root))
    }
}

impl Drop for Suspended {
    fn drop(&mut self) {
        // Fails only if it has exited.
        let _ = kill_process_group(self.0, Signal::CONT);
    }
}

/// A lowered limit of open files; dropping this restores the old one.
struct DescriptorLimit {
    process: Pid,
    before: Rlimit,
}

impl DescriptorLimit {
    fn lower(process: Pid) -> Option<Self> {
        Self::try_lower(process)
            .inspect_err(|error| eprintln!("chaos: {error:#}"))
            .ok()
    }

    fn try_lower(pid: Pid) -> Result<Self> {
        let process = procfs::process::Process::new(pid.as_raw_nonzero().get())?;
        let open = process.fd_count()? as u64;
        let maximum = match process.limits()?.max_open_files.hard_limit {
            LimitValue::Value(value) => Some(value),
            LimitValue::Unlimited => None,
        };
        let lowered = Rlimit {
            current: Some(open + DESCRIPTORS_LEFT),
            maximum,
        };
        let before = prlimit(Some(pid), Resource::Nofile, lowered)
            .map_err(|error| anyhow!(error).context(format!("limiting process {pid}")))?;
        Ok(Self {
            process: pid,
            before,
        })
    }
}

impl Drop for DescriptorLimit {
    fn drop(&mut self) {
        // Fails only if the process has exited.
        let _ = prlimit(Some(self.process), Resource::Nofile, self.before);
    }
}
