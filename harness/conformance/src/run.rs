//! Runs checks against a contender: level by level, what brings faults about last, all of a stage
//! at the same time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use glob::Pattern;

use super::report::{Report, Row};
use super::verdict::{Outcome, Problem, Verdict};
use super::{Check, Level, Subject};
use crate::scrub::scrub;
use testbed::interrupt::Interrupt;

/// Checks of one stage that run at the same time; their bursts are of a hundred connections each.
const AT_ONCE: usize = 6;

/// Checks that bring faults about and run at the same time: they mostly wait.
const FAULTS_AT_ONCE: usize = 32;

/// How often the wait for a check looks whether the process was asked to end.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Why nothing more is asked.
const GONE: &str = "the contender answers no more, not even GET /info";

/// What is asked of a contender.
#[derive(Clone, Debug)]
pub struct Options {
    /// Checks up to this level run.
    pub level: Level,
    /// Checks up to this level must pass; what fails above it is reported.
    pub required: Level,
    /// Only the checks whose slug fits one of these; all if there is none.
    pub only: Vec<Pattern>,
    /// Slugs or patterns of them that the contender says it deviates from, and why.
    pub deviations: BTreeMap<String, String>,
    /// Requests on each of 100 connections where a check asks for thousands of answers.
    pub burst: usize,
    /// Whether checks that bring faults about run.
    pub faults: bool,
}

/// Requests on each connection that make thousands.
const BURST: usize = 30;

impl Options {
    /// Everything up to this level is asked for.
    #[must_use]
    pub fn all_of(level: Level) -> Self {
        Self {
            level,
            required: level,
            only: Vec::new(),
            deviations: BTreeMap::new(),
            burst: BURST,
            faults: true,
        }
    }

    /// The checks that these options ask for, in their order.
    #[must_use]
    pub fn selected(&self) -> Vec<Check> {
        let asked = |check: &Check| {
            let named = self.only.iter().any(|pattern| pattern.matches(&check.slug));
            check.level <= self.level
                && (named || self.only.is_empty())
                && (self.faults || !check.fault)
        };
        super::all().into_iter().filter(asked).collect()
    }
}

/// Runs the checks that the options ask for. `progress` is told how many are done, how many there
/// are, and which was the last. The subject can be used again afterwards.
///
/// # Errors
/// No check is asked for, a declaration fits none, or the process was asked to end.
pub fn run_watched(
    subject: &Arc<Subject>,
    options: &Options,
    interrupt: &Interrupt,
    mut progress: impl FnMut(usize, usize, &str),
) -> Result<Report> {
    let declarations = declarations(&options.deviations)?;
    let checks = Arc::new(options.selected());
    if checks.is_empty() {
        bail!("no check fits: `harness check --list` names them");
    }
    let begun = Instant::now();
    subject.set_burst(options.burst);
    let mut outcomes: Vec<Option<(Outcome, Duration)>> = vec![None; checks.len()];
    let mut done = 0;
    for stage in 0..=Stage::LAST {
        let stage_checks: Vec<_> = (0..checks.len())
            .filter(|index| Stage::of(&checks[*index]) == stage)
            .collect();
        let mut left = stage_checks.len();
        let results = spawn(subject, &checks, stage_checks, stage);
        while left > 0 {
            interrupt.check()?;
            let (index, verdict, took) = match results.recv_timeout(POLL_INTERVAL) {
                Ok(result) => result,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => bail!("a check panicked"),
            };
            let check = &checks[index];
            let outcome = outcome(
                check,
                verdict,
                declared(&declarations, check),
                options.required,
            );
            outcomes[index] = Some((scrub(&subject.secrets, outcome), took));
            (left, done) = (left - 1, done + 1);
            progress(done, checks.len(), &check.slug);
        }
    }
    let rows = checks.iter().zip(outcomes).map(|(check, outcome)| {
        let (outcome, took) = outcome.context("a check that did not run")?;
        Ok(Row::new(check, outcome, took))
    });
    let mut rows = rows.collect::<Result<Vec<_>>>()?;
    keep_stale_only_where_nothing_deviates(&mut rows, &declarations);
    Ok(Report::new(options, rows, begun.elapsed()))
}

/// As `run_watched`, without progress.
///
/// # Errors
/// No check is asked for, or a declaration fits none.
pub fn run(subject: Subject, options: &Options) -> Result<Report> {
    let subject = Arc::new(subject);
    run_watched(&subject, options, &Interrupt::never(), |_, _, _| {})
}

/// The stages of a run, in their order.
struct Stage;

impl Stage {
    const LAST: usize = 3;

    fn of(check: &Check) -> usize {
        match (check.level, check.fault) {
            (Level::Core, _) => 0,
            (Level::Work, _) => 1,
            (Level::Strict, false) => 2,
            (Level::Strict, true) => Self::LAST,
        }
    }
}

type Done = (usize, Verdict, Duration);

/// Runs these checks on threads of their own. They are not waited for when the process is asked to
/// end: what they hold on to ends with it.
fn spawn(
    subject: &Arc<Subject>,
    checks: &Arc<Vec<Check>>,
    indices: Vec<usize>,
    stage: usize,
) -> mpsc::Receiver<Done> {
    let (tell, results) = mpsc::channel();
    let threads = match stage {
        Stage::LAST => FAULTS_AT_ONCE,
        _ => AT_ONCE,
    };
    let next = Arc::new(AtomicUsize::new(0));
    let indices = Arc::new(indices);
    for _ in 0..threads.min(indices.len()) {
        let (subject, checks) = (Arc::clone(subject), Arc::clone(checks));
        let (indices, next, tell) = (Arc::clone(&indices), Arc::clone(&next), tell.clone());
        thread::spawn(move || {
            while let Some(index) = indices.get(next.fetch_add(1, Ordering::Relaxed)) {
                let begun = Instant::now();
                let check = &checks[*index];
                let verdict = match subject.lacks(check.needs) {
                    Some(side) => Err(Problem::NotChecked(side.missing())),
                    None if subject.is_gone() => Err(Problem::NotChecked(GONE)),
                    None => (check.run)(&subject),
                };
                if matches!(verdict, Err(Problem::Failed(_))) {
                    subject.look_after();
                }
                if tell.send((*index, verdict, begun.elapsed())).is_err() {
                    return;
                }
            }
        });
    }
    results
}

/// A declaration: its pattern as it is written, and why.
type Declaration = (Pattern, String);

/// # Errors
/// A pattern is none, fits no check, or names one that cannot be declared away.
fn declarations(deviations: &BTreeMap<String, String>) -> Result<Vec<Declaration>> {
    let checks = super::all();
    deviations
        .iter()
        .map(|(text, why)| {
            let pattern = Pattern::new(text).with_context(|| format!("the deviation {text:?}"))?;
            let mut fitting = checks
                .iter()
                .filter(|check| pattern.matches(&check.slug))
                .peekable();
            if fitting.peek().is_none() {
                bail!("the deviation {text:?} names no check: `harness check --list` names them");
            }
            if let Some(check) = fitting.find(|check| check.slug == *text && !check.declarable) {
                bail!(
                    "{text} cannot be declared away: level {} proves that the work is done",
                    check.level
                );
            }
            Ok((pattern, why.clone()))
        })
        .collect()
}

fn declared<'a>(declarations: &'a [Declaration], check: &Check) -> Option<&'a str> {
    let mut fitting = declarations
        .iter()
        .filter(|(pattern, _)| pattern.matches(&check.slug));
    let why = fitting.next().map(|(_, why)| why.as_str());
    why.filter(|_| check.declarable)
}

fn outcome(check: &Check, verdict: Verdict, declared: Option<&str>, required: Level) -> Outcome {
    match (verdict, declared.map(str::to_owned)) {
        (Ok(()), None) => Outcome::Passed,
        (Ok(()), Some(why)) => Outcome::Stale { why },
        (Err(Problem::Failed(failure)), Some(why)) => Outcome::Declared {
            why,
            failure: *failure,
        },
        (Err(Problem::Failed(failure)), None) if check.level <= required => {
            Outcome::Failed(*failure)
        }
        (Err(Problem::Failed(failure)), None) => Outcome::Deviates(*failure),
        (Err(Problem::NotChecked(why)), _) => Outcome::NotChecked {
            why: why.to_owned(),
        },
        (Err(Problem::Broken(error)), _) => Outcome::Broken {
            why: format!("{error:#}"),
        },
    }
}

/// A declaration for several checks is true as long as one of them deviates, and cannot be judged
/// where one was not checked.
fn keep_stale_only_where_nothing_deviates(rows: &mut [Row], declarations: &[Declaration]) {
    for (pattern, _) in declarations {
        let holds = rows.iter().any(|row| {
            let deviates = matches!(
                row.outcome,
                Outcome::Declared { .. } | Outcome::NotChecked { .. } | Outcome::Broken { .. }
            );
            pattern.matches(&row.slug) && deviates
        });
        let fitting = rows
            .iter_mut()
            .filter(|row| holds && pattern.matches(&row.slug));
        for row in fitting.filter(|row| matches!(row.outcome, Outcome::Stale { .. })) {
            row.outcome = Outcome::Passed;
        }
    }
}
