//! `results.jsonl`: the reader of a run, and the writer that appends whole lines while it goes on, so
//! that a killed run loses at most its current attempt.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::record::{Attempt, Failed, Failure, Line, LoadModel, Plan, Planned, Run, SCHEMA, Start};
use testbed::lock::lock_within;

/// Name of the file in the folder of a run.
pub const FILE: &str = "results.jsonl";

/// Another writer holds the lock for the whole run; only children that [`lock_within`] knows of
/// release it within this time.
const LOCK_TIMEOUT: Duration = Duration::from_millis(500);

/// The content of `results.jsonl`.
#[derive(Clone, Debug, PartialEq)]
pub struct Results {
    pub run: Run,
    /// The engine against the ceiling.
    pub calibrations: Vec<Attempt>,
    pub starts: Vec<Start>,
    pub attempts: Vec<Attempt>,
    pub failures: Vec<Failure>,
    /// None if the run was interrupted or still goes on.
    pub ended_at: Option<String>,
}

/// Reads the results of a folder or of a file. An incomplete last line is ignored.
///
/// # Errors
/// The file cannot be read, has another schema, or has an invalid line.
pub fn read(path: &Path) -> Result<Results> {
    let path = match path.is_dir() {
        true => path.join(FILE),
        false => path.to_owned(),
    };
    let read = || parse(&fs::read(&path)?);
    read().with_context(|| format!("reading {}", path.display()))
}

/// Parses the content of `results.jsonl`. An incomplete last line is ignored.
///
/// # Errors
/// The content has another schema or an invalid line.
pub fn parse(text: &[u8]) -> Result<Results> {
    Results::new(lines(text)?)
}

/// Returns the folders of the runs that one `bench` command left in a folder: the folder itself, or
/// one for each number of workers and connections.
///
/// # Errors
/// The folder cannot be read.
pub fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    if folder.join(FILE).is_file() || !folder.is_dir() {
        return Ok(vec![folder.to_owned()]);
    }
    let reading = || format!("reading {}", folder.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(reading)? {
        let path = entry.with_context(reading)?.path();
        if path.join(FILE).is_file() {
            found.push(path);
        }
    }
    found.sort();
    match found.is_empty() {
        true => Ok(vec![folder.to_owned()]),
        false => Ok(found),
    }
}

/// Returns the name of the folder of a run with these settings among others.
#[must_use]
pub fn folder_name(plan: &Plan) -> String {
    format!("workers-{}-connections-{}", plan.workers, plan.connections)
}

/// Parses the complete lines of `results.jsonl`.
fn lines(text: &[u8]) -> Result<Vec<Line>> {
    #[derive(Deserialize)]
    struct Version {
        schema: u32,
    }
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(text.split_inclusive(|byte| *byte == b'\n')) {
        // Lines of another schema may not fit the types.
        if number == 1
            && let Ok(Version { schema }) = serde_json::from_slice(line)
        {
            ensure!(
                schema == SCHEMA,
                "results of schema {schema} are not supported, only of {SCHEMA}: \
                 use the harness that wrote them"
            );
        }
        if line.ends_with(b"\n") {
            lines.push(serde_json::from_slice(line).with_context(|| format!("line {number}"))?);
        }
    }
    Ok(lines)
}

impl Results {
    fn new(lines: Vec<Line>) -> Result<Self> {
        let mut lines = lines.into_iter();
        let Some(Line::Run(run)) = lines.next() else {
            bail!("the first line does not describe a run");
        };
        let mut results = Self {
            run: *run,
            calibrations: Vec::new(),
            starts: Vec::new(),
            attempts: Vec::new(),
            failures: Vec::new(),
            ended_at: None,
        };
        for line in lines {
            match line {
                Line::Run(_) => bail!("a second run begins in the same file"),
                Line::Calibration(attempt) => results.calibrations.push(*attempt),
                Line::Start(start) => results.starts.push(start),
                Line::Attempt(attempt) => results.attempts.push(*attempt),
                Line::Failure(failure) => results.failures.push(failure),
                Line::Resumed { .. } => {}
                Line::End { at } => results.ended_at = Some(at),
            }
        }
        Ok(results)
    }

    /// Returns the contender that scores are relative to: the one of this name, or else the first
    /// that is not the ceiling.
    ///
    /// # Errors
    /// The run has no contender of this name; the error lists all names.
    pub fn baseline(&self, name: Option<&str>) -> Result<Option<&Planned>> {
        let contenders = &self.run.plan.contenders;
        let Some(name) = name else {
            return Ok(contenders.iter().find(|contender| !contender.is_ceiling()));
        };
        let found = contenders.iter().find(|contender| contender.name == name);
        found.map(Some).with_context(|| {
            let names: Vec<_> = contenders.iter().map(|known| known.name.as_str()).collect();
            format!("no {name} in this run: it has {}", names.join(", "))
        })
    }

    /// Returns the attempts in closed loop.
    pub fn closed(&self) -> impl Iterator<Item = &Attempt> {
        let attempts = self.attempts.iter();
        attempts.filter(|attempt| attempt.load_model == LoadModel::Closed)
    }

    /// Returns the number of planned attempts in closed loop.
    #[must_use]
    pub(crate) fn planned_closed(&self) -> usize {
        let plan = &self.run.plan;
        plan.contenders.len() * plan.scenarios.len() * plan.rounds as usize
    }

    /// Returns true if a contender was checked.
    #[must_use]
    pub fn is_checked(&self, contender: &str) -> bool {
        let mut starts = self.starts.iter();
        starts.any(|start| start.contender == contender && start.passed + start.failed.len() > 0)
    }

    /// Returns the checks that a contender failed at any of its starts, each once.
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

/// The writer of a run.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    /// Locked, so that two runs never write to one file.
    file: File,
    /// Bytes of the complete lines.
    length: u64,
    lines: Vec<Line>,
}

impl Log {
    /// Begins a new run in a folder, which is created if it does not exist.
    ///
    /// # Errors
    /// The folder holds a run already, or cannot be written to.
    pub fn begin(folder: &Path, run: Run) -> Result<Self> {
        let path = folder.join(FILE);
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        let mut log = match Self::open(OpenOptions::new().create_new(true), path) {
            Err(error) if already_exists(&error) => bail!(
                "{} holds a run already: resume it with --resume, or name another folder with --out",
                folder.display()
            ),
            opened => opened?,
        };
        match log.append(Line::Run(Box::new(run))) {
            Ok(()) => Ok(log),
            Err(error) => {
                log.discard();
                Err(error)
            }
        }
    }

    /// Removes a run that has only begun.
    pub fn discard(self) {
        if let Err(error) = fs::remove_file(&self.path) {
            eprintln!("removing {}: {error}", self.path.display());
        }
    }

    /// Resumes the run of a folder. An incomplete last line is cut off.
    ///
    /// # Errors
    /// The folder holds no run, another process writes to it, or it has another schema.
    pub fn resume(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        ensure!(
            path.is_file(),
            "{} holds no run: it has no {FILE}",
            folder.display()
        );
        let mut log = Self::open(&mut OpenOptions::new(), path)?;
        let mut resume = || -> Result<()> {
            let text = fs::read(&log.path)?;
            let complete = text.iter().rposition(|byte| *byte == b'\n');
            log.length = complete.map_or(0, |end| end as u64 + 1);
            log.truncate()?;
            log.lines = lines(&text)?;
            let first = log.lines.first();
            ensure!(
                matches!(first, Some(Line::Run(_))),
                "the first line does not describe a run"
            );
            Ok(())
        };
        resume().with_context(|| format!("resuming the run in {}", folder.display()))?;
        Ok(log)
    }

    fn open(options: &mut OpenOptions, path: PathBuf) -> Result<Self> {
        let file = options
            .append(true)
            .open(&path)
            .with_context(|| format!("opening {}", path.display()))?;
        let locked = lock_within(LOCK_TIMEOUT, &file);
        if !locked.with_context(|| format!("locking {}", path.display()))? {
            bail!("another harness writes to {}", path.display());
        }
        Ok(Self {
            path,
            file,
            length: 0,
            lines: Vec::new(),
        })
    }

    /// Writes a line to the disk, completely or not at all.
    ///
    /// # Errors
    /// The file system fails, for instance because the disk is full.
    pub fn append(&mut self, line: Line) -> Result<()> {
        let mut text = serde_json::to_string(&line).context("serializing a line of results")?;
        text.push('\n');
        let written = self.file.write_all(text.as_bytes());
        if let Err(error) = written.and_then(|()| self.file.sync_data()) {
            // If this fails too, resuming the run cuts the incomplete line off.
            let _ = self.truncate();
            return Err(error).with_context(|| format!("writing to {}", self.path.display()));
        }
        self.length += text.len() as u64;
        self.lines.push(line);
        Ok(())
    }

    fn truncate(&self) -> io::Result<()> {
        self.file.set_len(self.length)
    }

    /// Returns all lines so far.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Returns the description of the run.
    #[must_use]
    pub fn run(&self) -> &Run {
        match self.lines.first() {
            Some(Line::Run(run)) => run,
            _ => unreachable!("both constructors make sure that the first line is the run's"),
        }
    }
}

fn already_exists(error: &anyhow::Error) -> bool {
    let error = error.root_cause().downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == ErrorKind::AlreadyExists)
}

#[cfg(test)]
mod tests {
    use tempfile::tempdir;

    use super::*;
    use crate::sample;

    fn end() -> Line {
        Line::End {
            at: "2026-01-01T00:00:00Z".to_owned(),
        }
    }

    fn begun(folder: &Path) -> Log {
        Log::begin(folder, sample::run()).unwrap()
    }

    fn add(folder: &Path, text: &str) {
        let file = OpenOptions::new().append(true).open(folder.join(FILE));
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn written_run_is_read_and_resumed() {
        let folder = tempdir().unwrap();
        let results = sample::results();
        sample::write(&results, folder.path());
        let read = read(folder.path()).unwrap();
        assert_eq!(read.run, results.run);
        assert_eq!(read.attempts.len(), results.attempts.len());
        assert_eq!(read.failures, results.failures);
        assert_eq!(read.starts, results.starts);
        assert_eq!(read.ended_at, results.ended_at);
        let log = Log::resume(folder.path()).unwrap();
        assert_eq!(log.run(), &results.run);
        assert_eq!(log.lines().last(), Some(&end()));
    }

    #[test]
    fn incomplete_last_line_is_ignored_by_the_reader_and_cut_off_by_the_writer() {
        let folder = tempdir().unwrap();
        drop(begun(folder.path()));
        add(folder.path(), r#"{"kind":"end","a"#);
        assert_eq!(read(folder.path()).unwrap().ended_at, None);
        Log::resume(folder.path()).unwrap().append(end()).unwrap();
        let log = Log::resume(folder.path()).unwrap();
        assert_eq!(log.lines(), [Line::Run(Box::new(sample::run())), end()]);
    }

    #[test]
    fn invalid_line_is_named() {
        let folder = tempdir().unwrap();
        drop(begun(folder.path()));
        add(folder.path(), "{\"kind\":\"atte\n");
        let error = format!("{:#}", read(folder.path()).unwrap_err());
        assert!(error.contains(": line 2: "), "{error}");
    }

    #[test]
    fn results_of_another_schema_are_refused() {
        for schema in [SCHEMA - 1, SCHEMA + 1] {
            let line = format!("{{\"kind\":\"run\",\"schema\":{schema},\"new\":{{}}}}\n");
            let error = lines(line.as_bytes()).unwrap_err().to_string();
            let expected = format!("results of schema {schema} are not supported");
            assert!(error.starts_with(&expected), "{error}");
        }
    }

    #[test]
    fn run_is_never_overwritten_nor_written_by_two() {
        let folder = tempdir().unwrap();
        let log = begun(folder.path());
        let again = Log::begin(folder.path(), sample::run()).unwrap_err();
        assert!(again.to_string().contains("holds a run already"), "{again}");
        let both = Log::resume(folder.path()).unwrap_err().to_string();
        assert!(both.contains("another harness writes"), "{both}");
        log.discard();
        let none = Log::resume(folder.path()).unwrap_err().to_string();
        assert!(none.contains("holds no run"), "{none}");
    }

    #[test]
    fn unknown_baseline_is_answered_with_the_names_of_the_run() {
        let results = sample::results();
        let error = results.baseline(Some("rails")).unwrap_err().to_string();
        assert!(error.starts_with("no rails in this run: it has ceiling, axum,"));
        assert_eq!(results.baseline(None).unwrap().unwrap().name, "axum");
    }
}
