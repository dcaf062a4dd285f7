//! `results.jsonl` while a run goes on: only ever appended to, a whole line at a time, so that a run
//! that is killed loses at most what it was doing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::record::{Line, Run, SCHEMA};
use super::results::FILE as RESULTS;
use testbed::lock::lock_within;

/// Nobody writes to a run for a moment only: this is for [`lock_within`]'s children.
const LOCK_TIMEOUT: Duration = Duration::from_millis(500);

/// The lines of a run, and the file that they are in.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    /// Locked: two runs never write to one file.
    file: File,
    /// Bytes of the lines.
    length: u64,
    lines: Vec<Line>,
}

impl Log {
    /// Begins a new run in this folder, which is made if need be.
    ///
    /// # Errors
    /// It holds a run already, or cannot be written to.
    pub fn begin(folder: &Path, run: Run) -> Result<Self> {
        let path = folder.join(RESULTS);
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let mut log = match Self::open(OpenOptions::new().create_new(true), path) {
            Err(error) if is_there(&error) => bail!(
                "{} holds a run already: take it up again with --resume, or name another folder with \
                 --out",
                folder.display()
            ),
            other => other?,
        };
        match log.append(Line::Run(Box::new(run))) {
            Ok(()) => Ok(log),
            Err(error) => {
                log.discard();
                Err(error)
            }
        }
    }

    /// Takes a run back that has only begun.
    pub fn discard(self) {
        if let Err(error) = fs::remove_file(&self.path) {
            eprintln!("removing {}: {error}", self.path.display());
        }
    }

    /// Takes up the run in this folder; what a killed writer left of a last line is cut off.
    ///
    /// # Errors
    /// There is none, it is written to by somebody else, or it is of a later version.
    pub fn resume(folder: &Path) -> Result<Self> {
        let path = folder.join(RESULTS);
        ensure!(
            path.is_file(),
            "{} holds no run: it has no {RESULTS}",
            folder.display()
        );
        let mut log = Self::open(&mut OpenOptions::new(), path)?;
        let text = fs::read_to_string(&log.path)
            .with_context(|| format!("reading {}", log.path.display()))?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        log.length = whole as u64;
        log.cut().context("cutting off half a line")?;
        for (index, line) in text[..whole].lines().enumerate() {
            let line = serde_json::from_str(line)
                .with_context(|| format!("line {} of {}", index + 1, log.path.display()))?;
            log.lines.push(line);
        }
        match log.lines.first() {
            Some(Line::Run(run)) if run.imported.is_some() => bail!(
                "{} was imported: what it lacks was never measured here",
                log.path.display()
            ),
            Some(Line::Run(run)) if run.schema == SCHEMA => {}
            Some(Line::Run(run)) => bail!(
                "{} is of version {}, this harness writes version {SCHEMA}",
                log.path.display(),
                run.schema
            ),
            _ => bail!("{} does not begin with what the run is", log.path.display()),
        }
        Ok(log)
    }

    fn open(options: &mut OpenOptions, path: PathBuf) -> Result<Self> {
        let file = options
            .append(true)
            .open(&path)
            .with_context(|| format!("opening {}", path.display()))?;
        let taken = lock_within(LOCK_TIMEOUT, &file);
        if !taken.with_context(|| format!("locking {}", path.display()))? {
            bail!("another harness writes to {}", path.display());
        }
        Ok(Self {
            path,
            file,
            length: 0,
            lines: Vec::new(),
        })
    }

    /// Writes a line, through to the disk, as a whole or not at all.
    ///
    /// # Errors
    /// The file system's: a full disk, say.
    pub fn append(&mut self, line: Line) -> Result<()> {
        let mut text = serde_json::to_string(&line).context("writing a line of results")?;
        text.push('\n');
        let written = self.file.write_all(text.as_bytes());
        if let Err(error) = written.and_then(|()| self.file.sync_data()) {
            // If this fails too, half a line is left for who resumes the run.
            let _ = self.cut();
            return Err(error).with_context(|| format!("writing to {}", self.path.display()));
        }
        self.length += text.len() as u64;
        self.lines.push(line);
        Ok(())
    }

    /// Cuts off what is no whole line.
    fn cut(&self) -> io::Result<()> {
        self.file.set_len(self.length)
    }

    /// All lines so far.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// What the run is.
    pub fn run(&self) -> &Run {
        match self.lines.first() {
            Some(Line::Run(run)) => run,
            _ => unreachable!("both constructors see to it that the first line is the run's"),
        }
    }
}

fn is_there(error: &anyhow::Error) -> bool {
    let error = error.root_cause().downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == ErrorKind::AlreadyExists)
}

#[cfg(test)]
mod tests {
    use tempfile::tempdir;

    use super::*;
    use crate::machine;
    use crate::sample::small;

    fn end() -> Line {
        Line::End {
            at: "2026-01-01T00:00:00Z".to_owned(),
        }
    }

    fn run() -> Run {
        Run {
            schema: SCHEMA,
            started_at: "2026-01-01T00:00:00Z".to_owned(),
            command: vec!["harness".to_owned(), "bench".to_owned()],
            commit: None,
            machine: machine::machine(),
            versions: Default::default(),
            plan: small::plan(&["a"]),
            imported: None,
        }
    }

    #[test]
    fn a_run_is_taken_up_with_all_its_lines() {
        let folder = tempdir().unwrap();
        Log::begin(folder.path(), run())
            .unwrap()
            .append(end())
            .unwrap();
        let log = Log::resume(folder.path()).unwrap();
        assert_eq!(log.lines(), [Line::Run(Box::new(run())), end()]);
        assert_eq!(log.run(), &run());
    }

    #[test]
    fn half_a_line_is_cut_off_and_what_comes_next_is_whole() {
        let folder = tempdir().unwrap();
        drop(Log::begin(folder.path(), run()).unwrap());
        let path = folder.path().join(RESULTS);
        let mut text = fs::read_to_string(&path).unwrap();
        text += r#"{"kind":"end","a"#;
        fs::write(&path, text).unwrap();
        Log::resume(folder.path()).unwrap().append(end()).unwrap();
        let log = Log::resume(folder.path()).unwrap();
        assert_eq!(log.lines(), [Line::Run(Box::new(run())), end()]);
    }

    #[test]
    fn a_run_is_never_overwritten_nor_written_by_two() {
        let folder = tempdir().unwrap();
        let _log = Log::begin(folder.path(), run()).unwrap();
        let again = Log::begin(folder.path(), run()).unwrap_err().to_string();
        assert!(again.contains("holds a run already"), "{again}");
        let both = Log::resume(folder.path()).unwrap_err().to_string();
        assert!(both.contains("another harness writes"), "{both}");
    }

    #[test]
    fn a_run_that_has_only_begun_can_be_taken_back() {
        let folder = tempdir().unwrap();
        Log::begin(folder.path(), run()).unwrap().discard();
        assert!(!folder.path().join(RESULTS).exists());
        Log::begin(folder.path(), run()).unwrap();
    }

    #[test]
    fn a_folder_without_a_run_and_a_later_version_are_refused() {
        let folder = tempdir().unwrap();
        let none = Log::resume(folder.path()).unwrap_err().to_string();
        assert!(none.contains("holds no run"), "{none}");
        let later = Run {
            schema: SCHEMA + 1,
            ..run()
        };
        drop(Log::begin(folder.path(), later).unwrap());
        let later = Log::resume(folder.path()).unwrap_err().to_string();
        assert!(later.contains("is of version 4"), "{later}");
    }
}
