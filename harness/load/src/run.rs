//! Measures what a plan asks for: contender by contender, each with an upstream and a Postgres of its
//! own, checked before it is measured.

use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Error, Result};
use schema::{Profile, routes};

use super::bottleneck::{bottleneck, warnings};
use super::engine::{Engine, Load};
use super::input::{self, Input};
use super::party::Party;
use super::record::{Attempt, Bottleneck, Failed, Failure, Line, Pace, Plan, Start};
use super::results::Log;
use super::scenario::Scenario;
use super::schedule::{Schedule, Step, Visit};
use super::watch::{Scene, Watch};
use conformance::{
    DatabaseSide, Level, Options, Outcome, Secrets, Subject, Target, UpstreamSide, random,
    run_watched,
};
use testbed::contender::{Contender, Running, Surroundings};
use testbed::cpus::Cpus;
use testbed::interrupt::Interrupt;
use testbed::postgres::TemporaryPostgres;
use testbed::raw::Connection;

/// Users, tokens and bodies that requests are made of: more than what a cache of last answers holds,
/// few enough to stay in the generator's.
const USERS: usize = 1000;

/// Time between two loads, for what the first left in sockets and queues.
const BREATH: Duration = Duration::from_millis(200);

/// What an error is about that is not the contender's: a full disk, say. It ends the run, which is
/// resumed when that is mended.
#[derive(Debug)]
struct OwnSide;

impl fmt::Display for OwnSide {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("on the harness's own side")
    }
}

/// What a run is made with.
pub struct Bench<'a> {
    /// In the plan's order.
    pub contenders: &'a [Contender],
    /// What the engine is measured against before the run, if there is one.
    pub limit: Option<&'a Contender>,
    pub engine: &'a dyn Engine,
    /// Processors of the contender; this process has the others already.
    pub cpus: &'a Cpus,
    pub interrupt: &'a Interrupt,
    /// Told what is done next.
    pub progress: &'a dyn Fn(&Schedule<'_>, &str),
}

impl Bench<'_> {
    /// Does all that is left of these runs: a round of each, then the next round of each, so that
    /// whatever drifts hits them alike.
    ///
    /// # Errors
    /// The process was asked to end, results cannot be written, or the harness's own side broke. A
    /// contender that fails is a line of the results.
    pub fn run(&self, logs: &mut [Log]) -> Result<()> {
        for log in &mut *logs {
            self.calibrate_once(log)?;
        }
        let plans = logs.iter().map(|log| &log.run().plan);
        let rounds = plans.map(Plan::rounds_in_all).max().unwrap_or(0);
        for round in 1..=rounds {
            for log in &mut *logs {
                self.round(round, log)?;
            }
        }
        logs.iter_mut()
            .try_for_each(|log| log.append(Line::End { at: now() }))
    }

    fn calibrate_once(&self, log: &mut Log) -> Result<()> {
        let is_calibration = |line: &Line| matches!(line, Line::Calibration(_));
        let Some(limit) = self.limit else {
            return Ok(());
        };
        if log.lines().iter().any(is_calibration) {
            return Ok(());
        }
        let plan = log.run().plan.clone();
        self.tell(&plan, log, "calibrating the engine");
        let attempt = self
            .calibrate(limit, &plan)
            .context("calibrating the engine")?;
        log.append(Line::Calibration(Box::new(attempt)))
    }

    /// Does what is left of the rounds until this one.
    fn round(&self, round: u32, log: &mut Log) -> Result<()> {
        let plan = log.run().plan.clone();
        while let Some(visit) = schedule(&plan, log).next_visit()
            && visit.round <= round
        {
            let contender = &self.contenders[visit.contender];
            if let Err(error) = self.visit(contender, visit, &plan, log) {
                self.interrupt.check()?;
                if error.is::<OwnSide>() {
                    return Err(error);
                }
                log.append(Line::Failure(Failure {
                    contender: contender.name.clone(),
                    round: visit.round,
                    error: format!("{error:#}"),
                }))?;
            }
        }
        Ok(())
    }

    fn tell(&self, plan: &Plan, log: &Log, what: &str) {
        (self.progress)(&schedule(plan, log), what);
    }

    /// Starts a contender, checks it, and measures what is left to measure of it in this round.
    fn visit(&self, contender: &Contender, visit: Visit, plan: &Plan, log: &mut Log) -> Result<()> {
        let Visit { round, .. } = visit;
        let who = match round > plan.rounds {
            true => format!("{}, open loops", contender.name),
            false => format!("{}, round {round} of {}", contender.name, plan.rounds),
        };
        self.tell(plan, log, &format!("{who}: starting"));
        let stage = self.set(contender, plan)?;
        self.tell(plan, log, &format!("{who}: checking"));
        let (passed, failed) = self.check(contender, &stage.subject)?;
        let is_right = failed.is_empty();
        write(
            log,
            Line::Start(Start {
                contender: contender.name.clone(),
                round,
                ready_ms: stage.ready.as_secs_f64() * 1e3,
                passed,
                failed,
            }),
        )?;
        if !is_right {
            return Ok(());
        }
        stage.load(self, contender, visit, plan, log, &who)
    }

    /// Starts a contender with an upstream and a Postgres of the harness's own.
    fn set(&self, contender: &Contender, plan: &Plan) -> Result<Stage> {
        let secrets = Secrets::bench();
        let (upstream, upstream_party) = Party::started_by(|| {
            let upstream = UpstreamSide::start(Ipv4Addr::LOCALHOST.into(), 0, &secrets)?;
            // Its threads are there once it has answered.
            let mut connection = Connection::open(upstream.address())?;
            connection.ask(format!(
                "GET {} HTTP/1.1\r\nHost: upstream\r\n\r\n",
                routes::HEALTH
            ))?;
            Ok::<_, Error>(upstream)
        })
        .context(OwnSide)?;
        let postgres = TemporaryPostgres::start().context(OwnSide)?;
        let root = postgres.root().context("Postgres does not run")?;
        let surroundings = Surroundings {
            upstream: Some(upstream.address()),
            postgres_port: Some(postgres.port()),
            secrets: secrets.clone(),
            // The limit is that of one thread, and takes no other number.
            workers: Some(if contender.is_limit() {
                1
            } else {
                plan.workers
            }),
            cpus: Some(self.cpus.clone()),
        };
        let begun = Instant::now();
        let planned = plan
            .contenders
            .iter()
            .find(|planned| planned.name == contender.name);
        let in_container = planned.is_some_and(|planned| planned.in_container);
        let running = contender.start(in_container, &surroundings, self.interrupt)?;
        let ready = begun.elapsed();
        let scene = Scene {
            contender: Party::of_process(running.root()?),
            upstream: upstream_party,
            postgres: Party::of_process(root),
            contender_cpus: plan.contender_cpus.clone(),
            other_cpus: plan.other_cpus.clone(),
        };
        let database = DatabaseSide::of(postgres)?;
        let target = Target::local(running.address);
        let subject = Subject::new(target, secrets, Some(upstream), Some(database));
        Ok(Stage {
            running,
            subject: Arc::new(subject),
            scene,
            ready,
        })
    }

    /// How many checks of level `work` the contender passes, and which it fails; the limit is asked
    /// nothing.
    fn check(&self, contender: &Contender, subject: &Arc<Subject>) -> Result<(usize, Vec<Failed>)> {
        let (mut passed, mut failed) = (0, Vec::new());
        if contender.is_limit() {
            return Ok((passed, failed));
        }
        let options = Options {
            deviations: contender.deviations.clone(),
            ..Options::all_of(Level::Work)
        };
        let report = run_watched(subject, &options, self.interrupt, |_, _, _| {})?;
        for row in report.checks {
            match row.outcome {
                // A declaration that is no longer true is `harness check`'s to complain of.
                Outcome::Passed | Outcome::Declared { .. } | Outcome::Stale { .. } => {
                    passed += 1;
                }
                Outcome::Failed(failure) => failed.push(Failed {
                    slug: row.slug,
                    expected: failure.expected,
                    actual: failure.came,
                }),
                other => failed.push(Failed {
                    slug: row.slug,
                    expected: "a check that can be made".to_owned(),
                    actual: format!("{other:?}"),
                }),
            }
        }
        Ok((passed, failed))
    }

    /// What the engine does with a server that does nothing: its own ceiling.
    fn calibrate(&self, limit: &Contender, plan: &Plan) -> Result<Attempt> {
        let stage = self.set(limit, plan)?;
        let step = Step {
            scenario: Scenario::Info,
            pace: Pace::Closed,
        };
        let inputs = input::fixture(
            step.scenario,
            stage.running.address,
            &stage.subject.secrets.jwt_secret,
        );
        stage.attempt(self, limit, 0, step, &inputs, plan)
    }
}

/// A contender that runs, with what is around it. Its fields end in their order: the contender
/// before what it depends on.
struct Stage {
    running: Running,
    subject: Arc<Subject>,
    scene: Scene,
    /// From its start to its first answer.
    ready: Duration,
}

impl Stage {
    /// Measures what is left to measure in this round.
    fn load(
        self,
        bench: &Bench<'_>,
        contender: &Contender,
        visit: Visit,
        plan: &Plan,
        log: &mut Log,
        who: &str,
    ) -> Result<()> {
        let subject = Arc::clone(&self.subject);
        let database = subject.database()?;
        let users: Vec<Profile> = (0..USERS).map(|_| random::profile()).collect();
        let rows = database.insert(&users)?;
        // Connections tell Postgres what they have read when they end: the check's are ended now,
        // the load's end with the contender.
        database.cut()?;
        let scans = database.scans()?;
        let mut of_users = None;
        while let Some(step) = schedule(plan, log).next_step(visit) {
            let pace = match step.pace {
                Pace::Closed => String::new(),
                Pace::Open(rate) => format!(" at {rate}/s"),
            };
            bench.tell(plan, log, &format!("{who}: {}{pace}", step.scenario));
            let inputs = match contender.is_limit() {
                true => input::fixture(
                    step.scenario,
                    self.running.address,
                    &subject.secrets.jwt_secret,
                ),
                false => input::inputs(
                    step.scenario,
                    self.running.address,
                    &users,
                    &subject.secrets.jwt_secret,
                ),
            };
            let attempt = self.attempt(bench, contender, visit.round, step, &inputs, plan);
            bench.interrupt.check()?;
            // Why nothing was measured, or whose figures are those of a dying one.
            self.running.must_run()?;
            self.running.must_answer()?;
            let attempt = attempt?;
            if (step.scenario, step.pace) == (Scenario::UsersMe, Pace::Closed) {
                // The last of a round: it is written down when the scans are known.
                of_users = Some(attempt);
                break;
            }
            write(log, Line::Attempt(Box::new(attempt)))?;
            sleep(BREATH);
        }
        drop(self.running);
        if let Some(mut attempt) = of_users {
            let read = u64::try_from(database.scans()? - scans).ok();
            attempt.usage.served = read;
            attempt.warnings = warnings(&attempt, plan);
            write(log, Line::Attempt(Box::new(attempt)))?;
        }
        drop(rows);
        Ok(())
    }

    /// Measures one load.
    fn attempt(
        &self,
        bench: &Bench<'_>,
        contender: &Contender,
        round: u32,
        step: Step,
        inputs: &[Input],
        plan: &Plan,
    ) -> Result<Attempt> {
        let load = Load {
            target: self.running.address,
            scenario: step.scenario,
            inputs,
            connections: plan.connections,
            threads: plan.generator_threads(),
            pace: step.pace,
            warmup: Duration::from_secs_f64(plan.warmup_secs),
            duration: Duration::from_secs_f64(plan.duration_secs),
        };
        let upstream = self.subject.upstream()?.count_only();
        let mut watch = Watch::over(self.scene.clone(), bench.interrupt);
        let started_at = now();
        let (begun, (calls, in_hand)) = (Instant::now(), upstream.count());
        let measured = bench.engine.run(&load, &mut watch)?;
        let (calls_after, in_hand_after) = upstream.count();
        let mut usage = watch.usage();
        if step.scenario == Scenario::Catalog {
            usage.served = Some(calls_after - calls);
            let in_hand = (in_hand_after - in_hand).as_secs_f64();
            usage.upstream_in_flight = Some(in_hand / begun.elapsed().as_secs_f64());
        }
        let mut attempt = Attempt {
            contender: contender.name.clone(),
            scenario: step.scenario,
            round,
            pace: step.pace,
            started_at,
            measured,
            usage,
            bottleneck: Bottleneck::Waiting,
            warnings: Vec::new(),
        };
        attempt.bottleneck = bottleneck(&attempt, plan);
        attempt.warnings = warnings(&attempt, plan);
        Ok(attempt)
    }
}

/// Writes a line of results; what hinders it is not the contender's fault.
fn write(log: &mut Log, line: Line) -> Result<()> {
    log.append(line).context(OwnSide)
}

fn schedule<'a>(plan: &'a Plan, log: &'a Log) -> Schedule<'a> {
    Schedule {
        plan,
        lines: log.lines(),
    }
}

/// This moment (RFC 3339, UTC).
pub fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}
