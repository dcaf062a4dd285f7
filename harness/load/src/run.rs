//! Executes plans: contender by contender, each with an upstream and a Postgres of its own, and
//! checked before it is measured.

mod trial;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use rustix::process::Pid;
use schema::{Profile, fixtures};

use self::trial::Trial;
use crate::bottleneck::{bottleneck, warnings};
use crate::engine::Engine;
use crate::record::{Attempt, Failed, Failure, Line, LoadModel, Plan, Start};
use crate::results::Log;
use crate::scenario::Scenario;
use crate::schedule::{Schedule, Step, Visit};
use conformance::{Level, Options, Outcome, Secrets, Subject, Target, random, run_watched};
use testbed::contender::Contender;
use testbed::cpus::Cpus;
use testbed::interrupt::Interrupt;

/// Users with rows whom requests are made for.
const USERS: usize = 1000;

/// Pause between two loads, for data that the first left in sockets and queues.
const PAUSE: Duration = Duration::from_millis(200);

/// The context of an error that the contender did not cause, such as a full disk. It ends the run,
/// which can be resumed.
#[derive(Debug)]
struct OwnSide;

impl fmt::Display for OwnSide {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("on the harness's own side")
    }
}

/// The means of a run.
pub struct Bench<'a> {
    /// In the plan's order.
    pub contenders: &'a [Contender],
    /// Contender that the engine is measured against before the run.
    pub ceiling: Option<&'a Contender>,
    pub engine: &'a dyn Engine,
    /// The contender, if it runs already.
    pub external: Option<&'a External>,
    /// CPUs of the contender. This process has the others already.
    pub cpus: &'a Cpus,
    pub interrupt: &'a Interrupt,
    /// Called with a description before each action.
    pub progress: &'a dyn Fn(&Schedule<'_>, &str),
}

/// A contender that runs already, here or on another machine.
pub struct External {
    pub target: Target,
    /// Its first process, if it runs here and its CPU time is to be measured.
    pub pid: Option<Pid>,
    pub secrets: Secrets,
    /// Address for the upstream that it calls; it is another one if none is named.
    pub upstream: Option<(IpAddr, u16)>,
    /// URL of its database, if the harness may change it.
    pub database_url: Option<String>,
}

impl Bench<'_> {
    /// Executes the rest of these runs. Each round of all runs comes before the next, so that drift
    /// affects all of them alike.
    ///
    /// # Errors
    /// The process is interrupted, results cannot be written, or the harness's own side fails. A
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

    /// Measures the engine against a server that does nothing, unless the log has that already.
    fn calibrate_once(&self, log: &mut Log) -> Result<()> {
        let is_calibration = |line: &Line| matches!(line, Line::Calibration(_));
        let Some(ceiling) = self.ceiling else {
            return Ok(());
        };
        if log.lines().iter().any(is_calibration) {
            return Ok(());
        }
        let plan = log.run().plan.clone();
        self.tell(log, "calibrating the engine");
        let calibrate = || -> Result<Attempt> {
            let trial = Trial::start(self, ceiling, &plan)?;
            let step = Step {
                scenario: Scenario::Info,
                load_model: LoadModel::Closed,
            };
            trial.measure(self, ceiling, 0, step, &[], &plan)
        };
        let attempt = calibrate().context("calibrating the engine")?;
        log.append(Line::Calibration(Box::new(attempt)))
    }

    /// Executes the rest of all rounds up to this one.
    fn round(&self, round: u32, log: &mut Log) -> Result<()> {
        let plan = log.run().plan.clone();
        while let Some(visit) = Schedule::new(log).next_visit()
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

    fn tell(&self, log: &Log, action: &str) {
        (self.progress)(&Schedule::new(log), action);
    }

    /// Starts and checks a contender, and measures the rest of its round.
    fn visit(&self, contender: &Contender, visit: Visit, plan: &Plan, log: &mut Log) -> Result<()> {
        let round = visit.round;
        let title = match round > plan.rounds {
            true => format!("{}, open loops", contender.name),
            false => format!("{}, round {round} of {}", contender.name, plan.rounds),
        };
        self.tell(log, &format!("{title}: starting"));
        let trial = Trial::start(self, contender, plan)?;
        let first_ms = trial.first_requests(plan);
        self.tell(log, &format!("{title}: checking"));
        let (passed, failed) = self.check(contender, &trial.subject)?;
        let is_conformant = failed.is_empty();
        write(
            log,
            Line::Start(Start {
                contender: contender.name.clone(),
                round,
                ready_ms: trial.ready.map(|ready| ready.as_secs_f64() * 1e3),
                first_ms,
                passed,
                failed,
            }),
        )?;
        match is_conformant {
            true => self.measure(trial, contender, visit, plan, log, &title),
            false => Ok(()),
        }
    }

    /// Returns the number of passed checks of level `work`, and the failed ones. The ceiling is not
    /// checked, nor a contender whose dependencies are not known.
    fn check(&self, contender: &Contender, subject: &Arc<Subject>) -> Result<(usize, Vec<Failed>)> {
        let (mut passed, mut failed) = (0, Vec::new());
        let has_all =
            |external: &External| external.upstream.is_some() && external.database_url.is_some();
        if contender.is_ceiling() || !self.external.is_none_or(has_all) {
            return Ok((passed, failed));
        }
        let options = Options {
            deviations: contender.deviations.clone(),
            ..Options::all_of(Level::Work)
        };
        let report = run_watched(subject, &options, self.interrupt, |_, _, _| {})?;
        for row in report.checks {
            match row.outcome {
                // `harness check` reports declarations that are no longer true.
                Outcome::Passed | Outcome::Declared { .. } | Outcome::Stale { .. } => {
                    passed += 1;
                }
                Outcome::Failed(failure) => failed.push(Failed {
                    slug: row.slug,
                    expected: failure.expected,
                    actual: failure.actual,
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

    /// Measures the rest of a round.
    fn measure(
        &self,
        trial: Trial,
        contender: &Contender,
        visit: Visit,
        plan: &Plan,
        log: &mut Log,
        title: &str,
    ) -> Result<()> {
        let subject = Arc::clone(&trial.subject);
        let database = subject.database().ok();
        let users: Vec<Profile> = match database {
            Some(_) => (0..USERS).map(|_| random::profile()).collect(),
            // The only known row is that of the contract.
            None => vec![fixtures::profile()],
        };
        let rows = database.as_ref().map(|database| database.insert(&users));
        let rows = rows.transpose()?;
        let scans = || -> Result<Option<i64>> {
            let Some(database) = &database else {
                return Ok(None);
            };
            // A connection reports its scans to Postgres when it ends.
            database.cut()?;
            database.scans().map(Some)
        };
        let scans_before = scans()?;
        let (mut last, mut earlier_answers) = (None, 0);
        while let Some(step) = Schedule::new(log).next_step(visit) {
            let rate = match step.load_model {
                LoadModel::Closed => String::new(),
                LoadModel::Open(rate) => format!(" at {rate}/s"),
                LoadModel::Invalid(_) => " with invalid requests".to_owned(),
            };
            self.tell(log, &format!("{title}: {}{rate}", step.scenario));
            let attempt = trial.measure(self, contender, visit.round, step, &users, plan);
            self.interrupt.check()?;
            // A contender that has exited or hangs explains a failed attempt, and spoils the numbers
            // of one that did not fail.
            if let Some(running) = &trial.running {
                running.must_run()?;
                running.must_answer()?;
            }
            let attempt = attempt?;
            if (step.scenario, step.load_model) == (Scenario::UsersMe, LoadModel::Closed) {
                // The last of a round: it is written once the number of scans is known.
                last = Some(attempt);
                break;
            }
            if step.scenario == Scenario::UsersMe {
                earlier_answers += attempt.measured.answers_in_all;
            }
            write(log, Line::Attempt(Box::new(attempt)))?;
            sleep(PAUSE);
        }
        drop(trial);
        if let Some(mut attempt) = last {
            let new_scans = scans()?
                .zip(scans_before)
                .map(|(after, before)| after - before);
            attempt.usage.served = new_scans.and_then(|scans| u64::try_from(scans).ok());
            attempt.measured.answers_in_all += earlier_answers;
            attempt.bottleneck = bottleneck(&attempt, plan);
            attempt.warnings = warnings(&attempt, plan);
            write(log, Line::Attempt(Box::new(attempt)))?;
        }
        drop(rows);
        Ok(())
    }
}

/// Writes a line of results. A failure is not the contender's.
fn write(log: &mut Log, line: Line) -> Result<()> {
    log.append(line).context(OwnSide)
}

/// Returns the current time (RFC 3339, UTC).
#[must_use]
pub fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}
