//! A contender under load with everything that the harness controls. While the experiment waits, it
//! collects records, samples the contender's resources and changes the upstream's product.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use conformance::upstream::Behaviour;
use conformance::{database, random, upstream};
use load::engine::builtin::DEADLINE;
use testbed::contender::{Contender, Environment, Running};
use testbed::interrupt::Interrupt;
use tokio::runtime::Runtime;

use crate::fault::{Fault, Kind, Requirement};
use crate::generator::Generator;
use crate::misbehaving;
use crate::monitor::ResourceMonitor;
use crate::proxy::{Mode, Proxy};
use crate::result::{FaultResult, Window, latencies, quantile};
use crate::steady_load::{Record, SteadyLoad};
use crate::{Options, Progress};

/// Interval at which a condition is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Time for which the upstream serves one product.
const PRODUCT_INTERVAL: Duration = Duration::from_millis(300);

/// Time without a failure after which the contender counts as recovered.
const STABLE: Duration = Duration::from_secs(1);

/// Longest time for which a recovery is observed.
const RECOVERY_MAX: Duration = Duration::from_secs(15);

/// Time for pools and connections to be filled before the first fault.
const WARMUP: Duration = Duration::from_secs(1);

/// A response is prompt within this time, or within ten times the usual p99 if that is longer.
const PROMPT: Duration = Duration::from_millis(250);

/// The contender and everything that a fault can be injected with.
pub(crate) struct Experiment<'a> {
    pub(crate) controls: Controls<'a>,
    pub(crate) monitor: Option<ResourceMonitor>,
    /// Address of the contender, also after a restart.
    pub(crate) home: SocketAddr,
    records: Vec<Record>,
    /// When the product was changed; none while the upstream serves something else.
    product_since: Option<Instant>,
}

/// The contender as a process that can be stopped and started again.
pub(crate) struct Process<'a> {
    pub(crate) contender: &'a Contender,
    pub(crate) environment: &'a Environment,
    /// None while it is stopped.
    pub(crate) running: Option<Running>,
}

/// The parts of an experiment that the harness controls.
pub(crate) struct Controls<'a> {
    pub(crate) load: SteadyLoad,
    pub(crate) generator: Arc<Generator>,
    pub(crate) background: &'a Runtime,
    pub(crate) process: Option<Process<'a>>,
    pub(crate) upstream: Option<&'a upstream::Guard<'a>>,
    pub(crate) upstream_proxy: Option<&'a Proxy>,
    pub(crate) database: Option<&'a database::Guard<'a>>,
    pub(crate) postgres_proxy: Option<&'a Proxy>,
    pub(crate) interrupt: &'a Interrupt,
    /// Most connections of misbehaving clients.
    pub(crate) misbehaving_max: usize,
    /// Duration of a fault.
    pub(crate) duration: Duration,
}

impl<'a> Experiment<'a> {
    /// Creates the experiment; the load is running already.
    ///
    /// # Errors
    /// The contender's process id is not known.
    pub(crate) fn new(controls: Controls<'a>) -> Result<Self> {
        let root = controls.process.as_ref().and_then(|process| {
            let running = process.running.as_ref()?;
            Some(running.root())
        });
        let mut experiment = Self {
            home: controls.load.address(),
            controls,
            monitor: root.transpose()?.map(ResourceMonitor::new),
            records: Vec::new(),
            product_since: None,
        };
        experiment.serve_products();
        Ok(experiment)
    }

    /// Injects the options' faults one after the other.
    ///
    /// # Errors
    /// The run was interrupted, or the harness itself failed.
    pub(crate) fn inject_all(
        &mut self,
        options: &Options,
        progress: &mut Progress<'_>,
    ) -> Result<Vec<FaultResult>> {
        let (mut begin, prompt) = self.warm_up()?;
        let mut results = Vec::new();
        for fault in &options.faults {
            if let Some(reason) = self.inapplicable(fault) {
                results.push(FaultResult::not_applicable(fault, reason));
                continue;
            }
            progress(fault, None);
            let result = self
                .inject_one(fault, &mut begin, options.recovery, prompt)
                .with_context(|| format!("during {}", fault.slug))?;
            progress(fault, Some(&result));
            results.push(result);
        }
        ensure!(!results.is_empty(), "no fault was selected");
        Ok(results)
    }

    /// Waits until the load is warm. Returns from when on its requests count, and the longest latency
    /// of a prompt response.
    ///
    /// # Errors
    /// The run was interrupted.
    pub(crate) fn warm_up(&mut self) -> Result<(Instant, Duration)> {
        self.pause(WARMUP)?;
        // The first responses waited for connections and for compilers.
        let warm = Instant::now();
        self.finish(warm)?;
        drop(self.take(warm));
        let _ = self.controls.load.take_irregularities();
        self.pause(WARMUP)?;
        let usual_ms = quantile(&latencies(&self.records), 0.99);
        let prompt = PROMPT.max(Duration::from_secs_f64(usual_ms * 10.0 / 1e3));
        Ok((warm, prompt))
    }

    /// Injects a fault and observes until the contender has recovered. `begin` is the end of the
    /// last observation, and is moved to the end of this one.
    ///
    /// # Errors
    /// The run was interrupted, or the harness itself failed.
    pub(crate) fn inject_one(
        &mut self,
        fault: &Fault,
        begin: &mut Instant,
        recovery: Duration,
        prompt: Duration,
    ) -> Result<FaultResult> {
        let notes = self.inject(fault.kind)?;
        let end = Instant::now();
        self.await_recovery(end, prompt)?;
        let until = Instant::now();
        self.finish(until)?;
        let window = Window {
            begin: std::mem::replace(begin, until),
            end,
            until,
            recovery,
            prompt,
        };
        let records = self.take(until);
        let irregularities = self.controls.load.take_irregularities();
        let mut result = FaultResult::new(fault, window, &records, irregularities);
        result.notes = notes;
        result.peak_usage = self.monitor.as_mut().map(ResourceMonitor::take_peak);
        if result.counts.unsent > 0 {
            result.notes.push(format!(
                "{} requests were not sent: too many were in flight",
                result.counts.unsent
            ));
        }
        if let Some(error) = self.exited() {
            result.fail(format!("the contender exited: {error}"));
            self.restart()?;
        }
        Ok(result)
    }

    /// Returns why a fault cannot be injected; none if it can.
    pub(crate) fn inapplicable(&self, fault: &Fault) -> Option<&'static str> {
        let contender = self
            .controls
            .process
            .as_ref()
            .map(|process| process.contender);
        let is_upstream = contender.is_some_and(Contender::is_upstream);
        let missing = fault.requirement().filter(|part| !self.has(*part));
        if let Some(missing) = missing {
            return Some(match is_upstream {
                true => "an upstream has no dependencies",
                false => missing.missing(),
            });
        }
        if is_upstream && fault.kind == Kind::Clients(misbehaving::Behaviour::SlowBodies) {
            return Some("an upstream takes no request bodies");
        }
        let has_fixed_port = contender?.own_port(false).ok().flatten().is_some();
        (fault.kind == Kind::RollingRestart && has_fixed_port)
            .then_some("the contender listens on a fixed port: there can be no second instance")
    }

    fn has(&self, part: Requirement) -> bool {
        match part {
            Requirement::Process => self.controls.process.is_some(),
            Requirement::Upstream => self.controls.upstream.is_some(),
            Requirement::Database => self.controls.database.is_some(),
            Requirement::DatabaseServer => self.controls.postgres_proxy.is_some(),
        }
    }

    /// Waits for the duration of a fault.
    ///
    /// # Errors
    /// The run was interrupted.
    pub(crate) fn wait_for_duration(&mut self) -> Result<()> {
        self.pause(self.controls.duration)
    }

    /// Waits.
    ///
    /// # Errors
    /// The run was interrupted.
    pub(crate) fn pause(&mut self, time: Duration) -> Result<()> {
        self.wait(time, |_| Ok(false)).map(drop)
    }

    /// Waits until a condition is true, at most for `time`; returns whether it is.
    ///
    /// # Errors
    /// The run was interrupted, or the condition failed.
    pub(crate) fn wait(
        &mut self,
        time: Duration,
        mut condition: impl FnMut(&mut Self) -> Result<bool>,
    ) -> Result<bool> {
        let deadline = Instant::now() + time;
        loop {
            self.controls.interrupt.check()?;
            self.poll();
            if condition(self)? {
                return Ok(true);
            }
            let now = Instant::now();
            if now >= deadline {
                return Ok(false);
            }
            sleep(POLL_INTERVAL.min(deadline - now));
        }
    }

    fn poll(&mut self) {
        self.records.extend(self.controls.load.drain());
        if let Some(monitor) = &mut self.monitor {
            monitor.sample();
        }
        let since = self.product_since;
        if since.is_some_and(|since| since.elapsed() >= PRODUCT_INTERVAL) {
            self.serve_products();
        }
    }

    fn await_recovery(&mut self, end: Instant, prompt: Duration) -> Result<()> {
        self.wait(RECOVERY_MAX, |experiment| {
            let records = experiment.records.iter();
            let bad = records.filter(|record| record.due >= end && !record.is_prompt(prompt));
            let since = bad.map(|record| record.due).max().unwrap_or(end);
            let is_stable = Instant::now() >= since + STABLE;
            // Requests from before the end of the fault are awaited afterwards.
            let oldest = experiment.controls.load.oldest_in_flight();
            let is_late = oldest.is_some_and(|due| due >= end && due.elapsed() > prompt);
            Ok(is_stable && !is_late)
        })
        .map(drop)
    }

    /// Waits until all requests that were due before `until` have ended.
    fn finish(&mut self, until: Instant) -> Result<()> {
        let done = self.wait(DEADLINE + STABLE, |experiment| {
            let oldest = experiment.controls.load.oldest_in_flight();
            Ok(oldest.is_none_or(|due| due >= until))
        })?;
        self.poll();
        ensure!(done, "the load's own requests do not end");
        Ok(())
    }

    /// Removes and returns the records of requests that were due before `until`.
    fn take(&mut self, until: Instant) -> Vec<Record> {
        let (taken, left) = std::mem::take(&mut self.records)
            .into_iter()
            .partition(|record| record.due < until);
        self.records = left;
        taken
    }

    /// Makes the upstream serve a new random product now and at each interval.
    pub(crate) fn serve_products(&mut self) {
        self.product_since = None;
        if let Some(upstream) = self.controls.upstream {
            let product = random::product();
            let text = random::javascript(&product);
            let change = || upstream.serve(text);
            self.controls.generator.expect_product(&product, change);
            self.product_since = Some(Instant::now());
        }
    }

    /// Sets the behaviour of the upstream; faults serve the contract's product.
    pub(crate) fn set_upstream(&mut self, behaviour: Behaviour) {
        self.product_since = None;
        self.controls.generator.expect_contract_product(|| {
            if let Some(upstream) = self.controls.upstream {
                upstream.behave(behaviour);
            }
        });
    }

    /// Sets the mode of a proxy.
    ///
    /// # Errors
    /// There is no proxy.
    pub(crate) fn set_mode(&self, proxy: Option<&Proxy>, mode: Mode) -> Result<()> {
        let proxy = proxy.context("there is no proxy")?;
        proxy.set(self.controls.background, mode)
    }
}
