//! The contender under load with all that is in the harness's hands, and the waiting: while anything
//! is waited for, records are gathered, memory is looked at, and the product changes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::census::Census;
use super::load::{Load, Record};
use super::proxy::{Mode, Proxy};
use super::question::Questions;
use super::window::is_well;
use conformance::upstream::Behaviour;
use conformance::{database, random, upstream};
use testbed::aside::Aside;
use testbed::contender::{Contender, Running, Surroundings};
use testbed::interrupt::Interrupt;

/// How often it is looked whether what is waited for has come.
const LOOK: Duration = Duration::from_millis(5);

/// How long a product is served before another takes its place.
const PHASE: Duration = Duration::from_millis(300);

/// All must be well for this long until it counts as well again.
const QUIET: Duration = Duration::from_secs(1);

/// Time until all must be well again, so that it is still told how long it took.
const RECOVERY_MAX: Duration = Duration::from_secs(15);

/// The contender, and what a fault can be brought about with.
pub(super) struct Stage<'a> {
    pub(super) scene: Scene<'a>,
    pub(super) census: Option<Census>,
    /// Where the contender listens, and listens again after a restart.
    pub(super) home: SocketAddr,
    records: Vec<Record>,
    /// When the product changed; none while the upstream serves something else.
    changed: Option<Instant>,
}

/// The contender as a process that can be stopped and started again.
pub(super) struct Process<'a> {
    pub(super) contender: &'a Contender,
    pub(super) surroundings: &'a Surroundings,
    /// None while it is stopped.
    pub(super) running: Option<Running>,
}

/// What a stage is made of: as much as is in the harness's hands.
pub(super) struct Scene<'a> {
    pub(super) load: Load,
    pub(super) questions: Arc<Questions>,
    pub(super) aside: &'a Aside,
    pub(super) contender: Option<Process<'a>>,
    pub(super) upstream: Option<&'a upstream::Turn<'a>>,
    pub(super) upstream_proxy: Option<&'a Proxy>,
    pub(super) database: Option<&'a database::Turn<'a>>,
    pub(super) postgres_proxy: Option<&'a Proxy>,
    pub(super) interrupt: &'a Interrupt,
    /// Connections that a crowd may have.
    pub(super) room: usize,
    /// Time that a fault lasts.
    pub(super) duration: Duration,
}

impl<'a> Stage<'a> {
    /// Of this scene, with the load running.
    ///
    /// # Errors
    /// The contender's process cannot be told.
    pub(super) fn new(scene: Scene<'a>) -> Result<Self> {
        let root = scene.contender.as_ref().and_then(|process| {
            let running = process.running.as_ref()?;
            Some(running.root())
        });
        let mut stage = Self {
            home: scene.load.address(),
            scene,
            census: root.transpose()?.map(Census::of),
            records: Vec::new(),
            changed: None,
        };
        stage.serve_products();
        Ok(stage)
    }

    /// Waits as long as the faults last.
    ///
    /// # Errors
    /// The process was asked to end.
    pub(super) fn hold(&mut self) -> Result<()> {
        self.pause(self.scene.duration)
    }

    /// Waits.
    ///
    /// # Errors
    /// The process was asked to end.
    pub(super) fn pause(&mut self, time: Duration) -> Result<()> {
        self.wait(time, |_| Ok(false)).map(drop)
    }

    /// Waits until something is so, at the most for a time; whether it is so.
    ///
    /// # Errors
    /// The process was asked to end, or it cannot be told whether it is so.
    pub(super) fn wait(
        &mut self,
        time: Duration,
        mut is_so: impl FnMut(&mut Self) -> Result<bool>,
    ) -> Result<bool> {
        let deadline = Instant::now() + time;
        loop {
            self.scene.interrupt.check()?;
            self.look();
            if is_so(self)? {
                return Ok(true);
            }
            let now = Instant::now();
            if now >= deadline {
                return Ok(false);
            }
            sleep(LOOK.min(deadline - now));
        }
    }

    /// Waits after a fault whose cause ended then until all is well again, or no longer.
    ///
    /// # Errors
    /// The process was asked to end.
    pub(super) fn recover(&mut self, end: Instant, prompt: Duration) -> Result<()> {
        self.wait(RECOVERY_MAX, |stage| {
            let unwell = stage
                .records
                .iter()
                .filter(|record| record.due >= end && !is_well(record, prompt));
            let since = unwell.map(|record| record.due).max().unwrap_or(end);
            let is_over = Instant::now() >= since + QUIET;
            let waits = stage.scene.load.oldest();
            // Who waits from before the fault's end is waited for afterwards.
            let is_late = waits.is_some_and(|due| due >= end && due.elapsed() > prompt);
            Ok(is_over && !is_late)
        })
        .map(drop)
    }

    /// Waits until all that was due before then has come to its end.
    ///
    /// # Errors
    /// The process was asked to end.
    pub(super) fn finish(&mut self, until: Instant) -> Result<()> {
        let time = super::load::PATIENCE + QUIET;
        let done = self.wait(time, |stage| {
            Ok(stage.scene.load.oldest().is_none_or(|due| due >= until))
        })?;
        self.look();
        done.then_some(())
            .context("the load's own requests do not come to an end")
    }

    /// The records of what was due before then.
    pub(super) fn take(&mut self, until: Instant) -> Vec<Record> {
        let (taken, left) = std::mem::take(&mut self.records)
            .into_iter()
            .partition(|record| record.due < until);
        self.records = left;
        taken
    }

    /// The records so far.
    pub(super) fn records(&self) -> &[Record] {
        &self.records
    }

    /// From now on the upstream serves products of its own, one after the other.
    pub(super) fn serve_products(&mut self) {
        self.changed = None;
        if let Some(upstream) = self.scene.upstream {
            let product = random::product();
            let text = random::javascript(&product);
            let change = || upstream.serve(text);
            self.scene.questions.serve(&product, change);
            self.changed = Some(Instant::now());
        }
    }

    /// From now on the upstream behaves so; a product that a fault shows is the contract's.
    pub(super) fn behave(&mut self, behaviour: Behaviour) {
        self.changed = None;
        self.scene.questions.serve_the_contract_s(|| {
            if let Some(upstream) = self.scene.upstream {
                upstream.behave(behaviour);
            }
        });
    }

    /// Sets the mode of a proxy.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn set(&self, proxy: Option<&Proxy>, mode: Mode) -> Result<()> {
        let proxy = proxy.context("there is no proxy")?;
        proxy.set(self.scene.aside, mode)
    }

    fn look(&mut self) {
        self.records.extend(self.scene.load.drain());
        if let Some(census) = &mut self.census {
            census.look();
        }
        if self
            .changed
            .is_some_and(|changed| changed.elapsed() >= PHASE)
        {
            self.serve_products();
        }
    }
}
