//! How each fault is brought about, and ended.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use procfs::process::LimitValue;
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use schema::fault::Fault as UpstreamFault;

use super::clock;
use super::crowd::Present;
use super::fault::Kind;
use super::proxy::Mode;
use super::stage::{Process, Stage};
use conformance::upstream::Behaviour;
use testbed::aside::Aside;
use testbed::contender::Running;
use testbed::port::lasting_port;

/// Time between two rounds of ending the contender's connections to the database.
const CUT_INTERVAL: Duration = Duration::from_millis(500);

/// Time for a contender to end after SIGTERM: longer than the drain of the suite's own services.
const TERM_TIMEOUT: Duration = Duration::from_secs(20);

/// Time that connections which break with a fault have to break.
const BREAK: Duration = Duration::from_millis(50);

/// Time for the load's own kept connections to be gone.
pub(super) const CLOSE: Duration = Duration::from_millis(300);

/// Descriptors that a contender may open more than it has.
const FEW: u64 = 4;

/// A stopped process stays so for no longer: its clients do not wait for ever.
const STOPPED_MAX: Duration = Duration::from_secs(8);

/// What came of bringing a fault about.
pub(super) enum Injected {
    /// It was brought about and ended; what is to be said of it.
    Ended(Vec<String>),
    /// It cannot be brought about, and why.
    Cannot(&'static str),
}

/// Brings a fault about, holds it, and ends it.
///
/// # Errors
/// The process was asked to end, or the harness's own side broke.
pub(super) fn inject(stage: &mut Stage<'_>, kind: Kind) -> Result<Injected> {
    let mut notes = Vec::new();
    match kind {
        Kind::Nothing => stage.hold()?,
        Kind::PostgresStopped => postgres_stopped(stage, true)?,
        Kind::PostgresRestarted => postgres_stopped(stage, false)?,
        Kind::PostgresCut => {
            let database = stage.scene.database.context("no database")?;
            let end = Instant::now() + stage.scene.duration;
            while Instant::now() < end {
                database.cut()?;
                let left = end.saturating_duration_since(Instant::now());
                stage.pause(CUT_INTERVAL.min(left))?;
            }
        }
        Kind::PostgresLocked => {
            let lock = stage.scene.database.context("no database")?.lock()?;
            stage.hold()?;
            drop(lock);
        }
        Kind::PostgresPort(mode) => {
            let proxy = stage.scene.postgres_proxy;
            stage.set(proxy, mode)?;
            stage.hold()?;
            stage.set(proxy, Mode::Pass)?;
        }
        Kind::UpstreamStopped => upstream_stopped(stage, true)?,
        Kind::UpstreamRestarted => upstream_stopped(stage, false)?,
        Kind::UpstreamPort(mode) => {
            let proxy = stage.scene.upstream_proxy;
            stage.set(proxy, mode)?;
            stage.hold()?;
            stage.set(proxy, Mode::Pass)?;
        }
        Kind::Upstream(fault) => upstream_fault(stage, fault)?,
        Kind::Churn => {
            stage.scene.load.set_churn(true);
            stage.hold()?;
            stage.scene.load.set_churn(false);
        }
        Kind::Clients(crowd) => {
            let address = stage.scene.load.address();
            let questions = &stage.scene.questions;
            // Not beside the proxies: what a crowd takes is the contender's time, not its peers'.
            let aside = Aside::start("crowd")?;
            let present = Present::gather(crowd, stage.scene.room, &aside, address, questions);
            stage.hold()?;
            notes.push(present.note());
        }
        Kind::Descriptors => notes = descriptors(stage)?,
        Kind::Terminated => notes = terminated(stage)?,
        Kind::Rolling => notes = rolling(stage)?,
        Kind::Clock => return clock::jump(stage),
        Kind::Killed => {
            let process = stage.scene.contender.as_mut().context("no process")?;
            process.signal(Signal::KILL)?;
            process.running = None;
            start_again(stage)?;
        }
        Kind::Stopped => {
            let running = stage
                .scene
                .contender
                .as_ref()
                .and_then(|it| it.running.as_ref());
            let root = running.context("no process")?.root()?;
            let stopped = SignalStopped::stop(root)?;
            stage.pause(stage.scene.duration.min(STOPPED_MAX))?;
            drop(stopped);
        }
    }
    Ok(Injected::Ended(notes))
}

fn postgres_stopped(stage: &mut Stage<'_>, holds: bool) -> Result<()> {
    let database = stage.scene.database.context("no database")?;
    let proxy = stage.scene.postgres_proxy;
    stage.set(proxy, Mode::Refuse)?;
    database.while_stopped(|| match holds {
        true => stage.hold(),
        false => Ok(()),
    })??;
    stage.set(proxy, Mode::Pass)
}

fn upstream_stopped(stage: &mut Stage<'_>, holds: bool) -> Result<()> {
    let upstream = stage.scene.upstream.context("no upstream")?;
    let proxy = stage.scene.upstream_proxy;
    // Nothing else is served until it is back.
    stage.behave(Behaviour::Fault(UpstreamFault::Reset));
    stage.set(proxy, Mode::Refuse)?;
    let held = upstream.while_refusing(|| match holds {
        true => stage.hold(),
        false => Ok(()),
    });
    stage.serve_products();
    stage.set(proxy, Mode::Pass)?;
    held?
}

fn upstream_fault(stage: &mut Stage<'_>, fault: UpstreamFault) -> Result<()> {
    stage.behave(Behaviour::Fault(fault));
    stage.hold()?;
    stage.serve_products();
    if let UpstreamFault::Hang | UpstreamFault::Trickle = fault {
        // A call that hangs does so until its connection ends.
        let proxy = stage.scene.upstream_proxy;
        stage.set(proxy, Mode::Reset)?;
        stage.pause(BREAK)?;
        stage.set(proxy, Mode::Pass)?;
    }
    Ok(())
}

fn descriptors(stage: &mut Stage<'_>) -> Result<Vec<String>> {
    stage.scene.load.set_churn(true);
    stage.pause(CLOSE)?;
    let processes = stage.census.as_mut().context("no process")?.processes();
    let limited: Vec<_> = processes.into_iter().filter_map(Limited::few).collect();
    stage.hold()?;
    let count = limited.len();
    drop(limited);
    stage.scene.load.set_churn(false);
    Ok(vec![format!("{count} processes were limited")])
}

fn terminated(stage: &mut Stage<'_>) -> Result<Vec<String>> {
    let process = stage.scene.contender.as_mut().context("no process")?;
    process.signal(Signal::TERM)?;
    let note = wait_for_the_end(stage)?;
    start_again(stage)?;
    Ok(vec![note])
}

/// Twice: the second takes over and the first is started again, then the first takes over.
fn rolling(stage: &mut Stage<'_>) -> Result<Vec<String>> {
    let process = stage.scene.contender.as_ref().context("no process")?;
    let (contender, surroundings) = (process.contender, process.surroundings);
    let first = stage.scene.load.address();
    let port = lasting_port()?;
    let second = contender.start_on(port, false, surroundings, stage.scene.interrupt)?;
    stage.scene.load.go_to(second.address);
    let process = stage.scene.contender.as_mut().context("no process")?;
    process.signal(Signal::TERM)?;
    let mut notes = vec![wait_for_the_end(stage)?];
    start_again(stage)?;
    stage.scene.load.go_to(first);
    second.signal(Signal::TERM)?;
    notes.push(ended_within(stage, |_| Ok(second.must_run().is_err()))?);
    drop(second);
    Ok(notes)
}

fn wait_for_the_end(stage: &mut Stage<'_>) -> Result<String> {
    let note = ended_within(stage, |stage| {
        let running = stage
            .scene
            .contender
            .as_ref()
            .and_then(|it| it.running.as_ref());
        Ok(running.is_none_or(|running| running.must_run().is_err()))
    })?;
    if let Some(process) = &mut stage.scene.contender {
        process.running = None;
    }
    Ok(note)
}

fn ended_within(
    stage: &mut Stage<'_>,
    has_ended: impl FnMut(&mut Stage<'_>) -> Result<bool>,
) -> Result<String> {
    let begun = Instant::now();
    Ok(match stage.wait(TERM_TIMEOUT, has_ended)? {
        true => format!("ended {:.1} s after SIGTERM", begun.elapsed().as_secs_f64()),
        false => format!("did not end within {TERM_TIMEOUT:?} of SIGTERM and was killed"),
    })
}

/// Starts the contender where it was.
fn start_again(stage: &mut Stage<'_>) -> Result<()> {
    let port = stage.home.port();
    let process = stage.scene.contender.as_mut().context("no process")?;
    let (contender, surroundings) = (process.contender, process.surroundings);
    let running = contender.start_on(port, false, surroundings, stage.scene.interrupt)?;
    if let Some(census) = &mut stage.census {
        census.move_to(running.root()?);
    }
    process.running = Some(running);
    Ok(())
}

impl Stage<'_> {
    /// How the contender ended, if it did and should not have.
    pub(super) fn died(&self) -> Option<String> {
        let running = self.scene.contender.as_ref()?.running.as_ref()?;
        let ended = running.must_run().err()?;
        Some(format!("{ended:#}"))
    }

    /// Starts a contender again that has ended by itself, so that the next fault meets one.
    ///
    /// # Errors
    /// It does not start.
    pub(super) fn revive(&mut self) -> Result<()> {
        if let Some(process) = &mut self.scene.contender {
            process.running = None;
        }
        start_again(self)
    }
}

impl Process<'_> {
    fn signal(&self, signal: Signal) -> Result<()> {
        let running: Option<&Running> = self.running.as_ref();
        running.context("no process")?.signal(signal)
    }
}

/// A process group that is stopped; dropping this lets it go on.
struct SignalStopped(Pid);

impl SignalStopped {
    fn stop(root: Pid) -> Result<Self> {
        rustix::process::kill_process_group(root, Signal::STOP)
            .context("stopping the contender")?;
        Ok(Self(root))
    }
}

impl Drop for SignalStopped {
    fn drop(&mut self) {
        // Gone already if it fails.
        let _ = rustix::process::kill_process_group(self.0, Signal::CONT);
    }
}

/// A process with few descriptors left; dropping this gives it back what it had.
struct Limited {
    process: Pid,
    before: Rlimit,
}

impl Limited {
    fn few(process: Pid) -> Option<Self> {
        Self::limit(process)
            .inspect_err(|error| eprintln!("chaos: {error:#}"))
            .ok()
    }

    fn limit(pid: Pid) -> Result<Self> {
        let process = procfs::process::Process::new(pid.as_raw_nonzero().get())?;
        let open = process.fd_count()? as u64;
        let maximum = match process.limits()?.max_open_files.hard_limit {
            LimitValue::Value(value) => Some(value),
            LimitValue::Unlimited => None,
        };
        let few = Rlimit {
            current: Some(open + FEW),
            maximum,
        };
        let before = prlimit(Some(pid), Resource::Nofile, few)
            .map_err(|error| anyhow!(error).context(format!("limiting process {pid}")))?;
        Ok(Self {
            process: pid,
            before,
        })
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        // Gone already if it fails.
        let _ = prlimit(Some(self.process), Resource::Nofile, self.before);
    }
}
