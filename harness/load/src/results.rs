//! Reads what a run has written down, whether it is still running, was interrupted, or is done.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::record::{Attempt, Failed, Failure, Line, Pace, Planned, Run, SCHEMA, Start};

/// Name of the raw file in the folder of a run.
pub const FILE: &str = "results.jsonl";

/// All that is known of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Results {
    /// What was to be measured, where, and by which command.
    pub run: Run,
    /// The engine against `limit`.
    pub calibrations: Vec<Attempt>,
    /// The starts of contenders, with their checks.
    pub starts: Vec<Start>,
    /// Every attempt, in its order.
    pub attempts: Vec<Attempt>,
    /// Rounds of contenders that ended in another way.
    pub failures: Vec<Failure>,
    /// When the run was taken up again.
    pub resumed_at: Vec<String>,
    /// When all was done; none of a run that was interrupted or still runs.
    pub ended_at: Option<String>,
    /// Bytes of the file's whole lines: less than the file has if its last line was cut off.
    pub whole_bytes: u64,
}

/// Reads the results of a folder or of a file. A last line that was cut off is left out.
///
/// # Errors
/// The file cannot be read, is of a newer form, or a whole line of it is not what a run writes.
pub fn read(path: &Path) -> Result<Results> {
    let path = file_of(path);
    let text = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    parse(&text).with_context(|| format!("reading {}", path.display()))
}

/// The raw file of a folder, or the file itself.
pub fn file_of(path: &Path) -> PathBuf {
    if path.is_dir() {
        path.join(FILE)
    } else {
        path.to_owned()
    }
}

/// As [`read`], from the content of the file.
///
/// # Errors
/// As [`read`].
pub fn parse(text: &[u8]) -> Result<Results> {
    let mut results = None;
    let mut whole_bytes = 0;
    for (number, line) in (1..).zip(text.split_inclusive(|byte| *byte == b'\n')) {
        if number == 1 {
            ensure_known_form(line)?;
        }
        let is_cut_off = !line.ends_with(b"\n");
        match serde_json::from_slice(line) {
            Ok(line) => add(&mut results, line).with_context(|| format!("line {number}"))?,
            Err(_) if is_cut_off => break,
            Err(error) => return Err(error).with_context(|| format!("line {number}")),
        }
        whole_bytes += line.len() as u64;
    }
    let results = results.context("no run has begun here: its first line is missing")?;
    Ok(Results {
        whole_bytes,
        ..results
    })
}

/// The form is read before the rest: what is newer may not fit our types.
fn ensure_known_form(line: &[u8]) -> Result<()> {
    #[derive(Deserialize)]
    struct Form {
        schema: u32,
    }
    let Ok(Form { schema }) = serde_json::from_slice(line) else {
        return Ok(());
    };
    ensure!(
        schema == SCHEMA,
        "results of schema {schema} are not supported, only of {SCHEMA}: use the harness that wrote them"
    );
    Ok(())
}

fn add(results: &mut Option<Results>, line: Line) -> Result<()> {
    let Some(results) = results else {
        let Line::Run(run) = line else {
            bail!("the first line is not what is measured, but something that was");
        };
        *results = Some(Results::of(*run));
        return Ok(());
    };
    match line {
        Line::Run(_) => bail!("a second run begins in the same file"),
        Line::Calibration(attempt) => results.calibrations.push(*attempt),
        Line::Start(start) => results.starts.push(start),
        Line::Attempt(attempt) => results.attempts.push(*attempt),
        Line::Failure(failure) => results.failures.push(failure),
        Line::Resumed { at } => results.resumed_at.push(at),
        Line::End { at } => results.ended_at = Some(at),
    }
    Ok(())
}

impl Results {
    /// Of a run that has just begun.
    #[must_use]
    pub fn of(run: Run) -> Self {
        Self {
            run,
            calibrations: Vec::new(),
            starts: Vec::new(),
            attempts: Vec::new(),
            failures: Vec::new(),
            resumed_at: Vec::new(),
            ended_at: None,
            whole_bytes: 0,
        }
    }

    /// The contender of this name.
    ///
    /// # Errors
    /// There is none; the error names all there are.
    pub fn contender(&self, name: &str) -> Result<&Planned> {
        let contenders = &self.run.plan.contenders;
        let found = contenders.iter().find(|contender| contender.name == name);
        found.with_context(|| {
            let names: Vec<_> = contenders.iter().map(|known| known.name.as_str()).collect();
            format!("no {name} in this run: it has {}", names.join(", "))
        })
    }

    /// What scores are against if nothing else is asked for: the first that is not the limit.
    #[must_use]
    pub fn default_baseline(&self) -> Option<&Planned> {
        let mut contenders = self.run.plan.contenders.iter();
        contenders.find(|contender| !contender.is_ceiling)
    }

    /// What scores are against: the contender of this name, or else the default.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn baseline(&self, name: Option<&str>) -> Result<Option<&Planned>> {
        match name {
            Some(name) => self.contender(name).map(Some),
            None => Ok(self.default_baseline()),
        }
    }

    /// The attempts in closed loop.
    pub fn closed(&self) -> impl Iterator<Item = &Attempt> {
        let attempts = self.attempts.iter();
        attempts.filter(|attempt| attempt.pace == Pace::Closed)
    }

    /// How many attempts in closed loop were planned.
    #[must_use]
    pub fn planned_closed(&self) -> usize {
        let plan = &self.run.plan;
        plan.contenders.len() * plan.scenarios.len() * plan.rounds as usize
    }

    /// The checks that a contender failed at any of its starts, each once.
    #[must_use]
    pub fn failed_checks(&self, contender: &str) -> Vec<&Failed> {
        let starts = self.starts.iter();
        let starts = starts.filter(|start| start.contender == contender);
        let mut failed: Vec<&Failed> = Vec::new();
        for check in starts.flat_map(|start| &start.failed) {
            if !failed.iter().any(|known| known.slug == check.slug) {
                failed.push(check);
            }
        }
        failed
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let results = sample::results();
        let read = parse(&sample::written(&results)).unwrap();
        assert_eq!(read.run, results.run);
        // Without its figures: serde_json reads floats to their last digit but one.
        let counted = |attempts: &[Attempt]| {
            let attempts = attempts.iter();
            let key = |a: &Attempt| {
                (
                    a.contender.clone(),
                    a.scenario,
                    a.round,
                    a.measured.requests,
                )
            };
            attempts.map(key).collect::<Vec<_>>()
        };
        assert_eq!(counted(&read.attempts), counted(&results.attempts));
        assert_eq!(read.failures, results.failures);
        assert_eq!(read.starts, results.starts);
        assert_eq!(read.ended_at, results.ended_at);
    }

    #[test]
    fn a_last_line_that_was_cut_off_is_left_out() {
        let text = sample::written(&sample::results());
        let cut = &text[..text.len() - 20];
        let read = parse(cut).unwrap();
        assert_eq!(read.ended_at, None);
        let whole = cut.iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
        assert_eq!(read.whole_bytes, whole as u64);
    }

    #[test]
    fn a_broken_line_in_between_is_named() {
        let mut text = sample::written(&Results::of(sample::results().run));
        text.extend(b"{\"kind\":\"atte\n");
        let error = format!("{:#}", parse(&text).unwrap_err());
        assert!(error.starts_with("line 2: "), "{error}");
    }

    #[test]
    fn results_of_another_schema_are_refused() {
        for schema in [2, 4] {
            let line = format!("{{\"kind\":\"run\",\"schema\":{schema},\"new\":{{}}}}\n");
            let error = parse(line.as_bytes()).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("results of schema {schema} are")),
                "{error}"
            );
        }
    }

    #[test]
    fn an_empty_file_is_no_run() {
        assert!(parse(b"").is_err());
        assert!(parse(b"{\"kind\":\"ru").is_err());
    }

    #[test]
    fn an_unknown_contender_is_answered_with_those_there_are() {
        let results = sample::results();
        let error = results.contender("rails").unwrap_err().to_string();
        assert!(
            error.starts_with("no rails in this run: it has limit, axum,"),
            "{error}"
        );
        assert_eq!(results.default_baseline().unwrap().name, "axum");
    }
}
