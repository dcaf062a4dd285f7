//! Runs checks against a contender: those of level `core` first, faults last, the checks of a stage at
//! the same time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use glob::Pattern;
use testbed::interrupt::Interrupt;

use crate::report::{Report, Row};
use crate::verdict::{Outcome, Problem, Verdict};
use crate::{Check, Level, Subject};

/// Checks of one stage that run at the same time; their bursts are of a hundred connections each.
const CONCURRENCY: usize = 6;

/// Checks that cause faults and run at the same time: they mostly wait.
const FAULT_CONCURRENCY: usize = 32;

/// Interval at which the wait for a check notices an interrupt.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The reason for not running a check once the contender is gone.
const GONE: &str = "the contender answers no more, not even GET /info";

/// Requests per connection that make thousands.
const BURST: usize = 30;

/// The checks of a run and what is required of them.
#[derive(Clone, Debug)]
pub struct Options {
    /// Checks up to this level run.
    pub level: Level,
    /// Checks up to this level must pass; failures above it are reported.
    pub required: Level,
    /// Only checks whose slug fits one of these patterns run; all if there is none.
    pub only: Vec<Pattern>,
    /// Slugs, or patterns of slugs, that the contender declares to deviate from, and why.
    pub deviations: BTreeMap<String, String>,
    /// Requests on each of 100 connections where a check sends thousands.
    pub burst: usize,
    /// True if checks that cause faults run.
    pub faults: bool,
}

impl Options {
    /// Requires everything up to a level.
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

    /// Returns the selected checks in their order.
    #[must_use]
    pub fn selected(&self) -> Vec<Check> {
        let is_selected = |check: &Check| {
            let is_named = self.only.iter().any(|pattern| pattern.matches(&check.slug));
            check.level <= self.level
                && (is_named || self.only.is_empty())
                && (self.faults || !check.fault)
        };
        super::all().into_iter().filter(is_selected).collect()
    }
}

/// Runs the selected checks without progress.
///
/// # Errors
/// No check is selected, or a declaration fits none.
pub fn run(subject: Subject, options: &Options) -> Result<Report> {
    let subject = Arc::new(subject);
    run_watched(&subject, options, &Interrupt::never(), |_, _, _| {})
}

/// Runs the selected checks. `progress` takes the number of finished checks, the number of all, and the
/// slug of the last. The subject can be used again afterwards.
///
/// # Errors
/// No check is selected, a declaration fits none, or the process was interrupted.
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
    let started = Instant::now();
    subject.set_burst(options.burst);
    let mut rows: Vec<Option<Row>> = checks.iter().map(|_| None).collect();
    let mut done = 0;
    for stage in 0..=FAULTS {
        let indices = (0..checks.len()).filter(|index| stage_of(&checks[*index]) == stage);
        let mut indices: Vec<_> = indices.collect();
        indices.sort_by_key(|index| !checks[*index].waits);
        let mut left = indices.len();
        let results = spawn(subject, &checks, indices, stage);
        while left > 0 {
            interrupt.check()?;
            let (index, verdict, took) = match results.recv_timeout(POLL_INTERVAL) {
                Ok(result) => result,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => bail!("a check panicked"),
            };
            let check = &checks[index];
            let why = declared(&declarations, check);
            let outcome = outcome(check, verdict, why, options.required);
            let outcome = outcome.map(|text| subject.secrets.hide(text));
            rows[index] = Some(Row::new(check, outcome, took));
            (left, done) = (left - 1, done + 1);
            progress(done, checks.len(), &check.slug);
        }
    }
    let rows: Option<Vec<_>> = rows.into_iter().collect();
    let mut rows = rows.context("a check did not run")?;
    keep_stale_only_where_nothing_deviates(&mut rows, &declarations);
    Ok(Report::new(options, rows, started.elapsed()))
}

/// The last stage.
const FAULTS: usize = 2;

fn stage_of(check: &Check) -> usize {
    match (check.level, check.fault) {
        (Level::Core, _) => 0,
        (_, false) => 1,
        (_, true) => FAULTS,
    }
}

type Done = (usize, Verdict, Duration);

/// Runs these checks on threads of their own. An interrupted run does not wait for them: whatever they
/// hold ends with the process.
fn spawn(
    subject: &Arc<Subject>,
    checks: &Arc<Vec<Check>>,
    indices: Vec<usize>,
    stage: usize,
) -> mpsc::Receiver<Done> {
    let (sender, results) = mpsc::channel();
    let waiting = indices.iter().filter(|index| checks[**index].waits).count();
    let threads = match stage {
        FAULTS => FAULT_CONCURRENCY,
        _ => CONCURRENCY + waiting,
    };
    let threads = threads.min(indices.len());
    let shared = Arc::new((AtomicUsize::new(0), indices));
    for _ in 0..threads {
        let (subject, checks) = (Arc::clone(subject), Arc::clone(checks));
        let (shared, sender) = (Arc::clone(&shared), sender.clone());
        thread::spawn(move || {
            let (next, indices) = &*shared;
            while let Some(index) = indices.get(next.fetch_add(1, Ordering::Relaxed)) {
                let started = Instant::now();
                let check = &checks[*index];
                let verdict = match subject.lacks(check.needs) {
                    Some(dependency) => Err(Problem::NotChecked(dependency.missing())),
                    None if subject.is_gone() => Err(Problem::NotChecked(GONE)),
                    None => (check.run)(&subject),
                };
                if matches!(verdict, Err(Problem::Failed(_))) {
                    subject.probe_after_failure();
                }
                if sender.send((*index, verdict, started.elapsed())).is_err() {
                    return;
                }
            }
        });
    }
    results
}

/// A pattern of slugs, and why they deviate.
type Declaration = (Pattern, String);

/// # Errors
/// A pattern is invalid, fits no check, or names one that cannot be declared.
fn declarations(deviations: &BTreeMap<String, String>) -> Result<Vec<Declaration>> {
    let checks = super::all();
    let parse = |(text, why): (&String, &String)| {
        let pattern = Pattern::new(text).with_context(|| format!("the deviation {text:?}"))?;
        if !checks.iter().any(|check| pattern.matches(&check.slug)) {
            bail!("the deviation {text:?} names no check: `harness check --list` names them");
        }
        let named = checks.iter().find(|check| check.slug == *text);
        if let Some(check) = named.filter(|check| !check.declarable) {
            bail!(
                "{text} cannot be declared away: level {} proves that the work is done",
                check.level
            );
        }
        Ok((pattern, why.clone()))
    };
    deviations.iter().map(parse).collect()
}

fn declared(declarations: &[Declaration], check: &Check) -> Option<String> {
    let mut declarations = declarations.iter();
    let declaration = declarations.find(|(pattern, _)| pattern.matches(&check.slug));
    declaration
        .filter(|_| check.declarable)
        .map(|(_, why)| why.clone())
}

fn outcome(check: &Check, verdict: Verdict, declared: Option<String>, required: Level) -> Outcome {
    match (verdict, declared) {
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

/// A declaration for several checks is true as long as one of them deviates, and cannot be judged where
/// one was not checked.
fn keep_stale_only_where_nothing_deviates(rows: &mut [Row], declarations: &[Declaration]) {
    for (pattern, _) in declarations {
        let fits = |row: &Row| pattern.matches(&row.slug);
        let may_deviate = rows.iter().filter(|row| fits(row)).any(|row| {
            matches!(
                row.outcome,
                Outcome::Declared { .. } | Outcome::NotChecked { .. } | Outcome::Broken { .. }
            )
        });
        for row in rows.iter_mut().filter(|row| may_deviate && fits(row)) {
            if matches!(row.outcome, Outcome::Stale { .. }) {
                row.outcome = Outcome::Passed;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Failure;

    fn parse(deviations: &[(&str, &str)]) -> Result<Vec<Declaration>> {
        let deviations = deviations.iter();
        let deviations = deviations.map(|(slug, why)| ((*slug).to_owned(), (*why).to_owned()));
        declarations(&deviations.collect())
    }

    /// Returns the outcomes of two checks with these declarations: `info/content-type` passes,
    /// `info/field-order` fails.
    fn outcomes(deviations: &[(&str, &str)], required: Level) -> [Outcome; 2] {
        let declarations = parse(deviations).unwrap();
        let row = |slug: &str, verdict: Verdict| {
            let mut checks = crate::all().into_iter();
            let check = checks.find(|check| check.slug == slug).unwrap();
            let why = declared(&declarations, &check);
            let outcome = outcome(&check, verdict, why, required);
            Row::new(&check, outcome, Duration::ZERO)
        };
        let failure = Failure::new("a", "b");
        let mut rows = [
            row("info/content-type", Ok(())),
            row("info/field-order", Err(failure.into())),
        ];
        keep_stale_only_where_nothing_deviates(&mut rows, &declarations);
        rows.map(|row| row.outcome)
    }

    #[test]
    fn failure_is_required_reported_or_declared() {
        let failure = Failure::new("a", "b");
        let why = "no fields".to_owned();
        let declared = Outcome::Declared {
            why,
            failure: failure.clone(),
        };
        let declaration = [("info/field-order", "no fields")];
        for (deviations, required, expected) in [
            (&[][..], Level::Strict, Outcome::Failed(failure.clone())),
            (&[], Level::Core, Outcome::Deviates(failure.clone())),
            (&declaration, Level::Strict, declared),
        ] {
            let expected = [Outcome::Passed, expected];
            assert_eq!(outcomes(deviations, required), expected);
        }
    }

    #[test]
    fn declaration_is_stale_unless_a_check_of_it_deviates() {
        let why = "text".to_owned();
        let [passed, _] = outcomes(&[("info/content-type", "text")], Level::Core);
        assert_eq!(passed, Outcome::Stale { why });
        let [passed, failed] = outcomes(&[("info/[cf]*e*", "some")], Level::Core);
        assert_eq!(passed, Outcome::Passed);
        assert!(matches!(failed, Outcome::Declared { .. }));
    }

    #[test]
    fn declaration_of_no_check_or_of_work_is_refused() {
        for (slug, phrase) in [
            ("info/no-such-check", "names no check"),
            ("info/fresh-ids", "cannot be declared away"),
            ("[", "the deviation \"[\""),
        ] {
            let error = format!("{:#}", parse(&[(slug, "why")]).unwrap_err());
            assert!(error.contains(phrase), "{error}");
        }
    }
}
