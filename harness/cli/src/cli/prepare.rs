//! `harness prepare`: builds contenders ahead, so that what starts them later finds all there.

use std::fs::{self, File};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::choice::Choice;
use testbed::contender::{Build, Contender};
use testbed::interrupt::Interrupt;
use testbed::terminal::{print, table};

/// Lines of a build's output that a failure shows.
const TAIL_LINES: usize = 10;

/// How often the line of progress moves on.
const TICK: Duration = Duration::from_millis(100);

/// Options of `harness prepare`.
#[derive(Args, Debug)]
pub(super) struct PrepareOptions {
    #[command(flatten)]
    choice: Choice,
}

/// One contender, and whether it can start.
struct Prepared {
    name: String,
    made_of: String,
    took: Duration,
    /// In one line, if it cannot.
    missing: Option<String>,
}

/// Runs the command: one contender after the other, each whatever became of the others.
///
/// # Errors
/// One is not ready; the table says why.
pub(super) fn prepare(options: &PrepareOptions) -> Result<()> {
    let contenders = options.choice.contenders(false, None)?;
    let interrupt = Interrupt::by_signal()?;
    let prepared = contenders
        .iter()
        .map(|contender| Prepared::of(contender, &interrupt));
    let prepared = prepared.collect::<Result<Vec<_>>>()?;
    let rows = prepared.iter().map(Prepared::row);
    print(table(
        ["CONTENDER", "STATE", "TOOK", "WHAT IT IS, OR WHAT TO DO"],
        rows,
    ));
    let missing: Vec<&str> = prepared
        .iter()
        .filter(|prepared| prepared.missing.is_some())
        .map(|prepared| prepared.name.as_str())
        .collect();
    ensure!(
        missing.is_empty(),
        "{} of {} are not ready: {}",
        missing.len(),
        prepared.len(),
        missing.join(", ")
    );
    Ok(())
}

impl Prepared {
    /// Prepares it.
    ///
    /// # Errors
    /// Interrupted, or the harness's own side broke.
    fn of(contender: &Contender, interrupt: &Interrupt) -> Result<Self> {
        let folder = tempfile::tempdir().context("making a folder for the log of a build")?;
        let path = folder.path().join("build.log");
        let log = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
        let said = || fs::read(&path).map_or_else(|_| Vec::new(), |log| lines(&log));

        let bar = bar(&contender.name)?;
        let begun = Instant::now();
        let mut told = begun;
        let outcome = contender
            .natively()
            .and_then(|how| Build::start(how, log))
            .and_then(|build| {
                build.wait(interrupt, || {
                    if told.elapsed() > TICK {
                        bar.set_message(said().pop().unwrap_or_default());
                        bar.tick();
                        told = Instant::now();
                    }
                })
            });
        bar.finish_and_clear();
        interrupt.check()?;
        let missing = outcome.err().map(|error| {
            let said = said();
            for line in said.iter().skip(said.len().saturating_sub(TAIL_LINES)) {
                eprintln!("  {line}");
            }
            said.last().cloned().unwrap_or_else(|| format!("{error:#}"))
        });
        Ok(Self {
            name: contender.name.clone(),
            made_of: contender.made_of.clone(),
            took: begun.elapsed(),
            missing,
        })
    }

    fn row(&self) -> [String; 4] {
        let (state, what) = match &self.missing {
            None => ("ready", &self.made_of),
            Some(why) => ("missing", why),
        };
        let took = format!("{:.1} s", self.took.as_secs_f64());
        [self.name.clone(), state.to_owned(), took, what.clone()]
    }
}

/// A line of progress on a terminal, a line for each contender elsewhere.
fn bar(name: &str) -> Result<ProgressBar> {
    let bar = ProgressBar::new_spinner().with_prefix(name.to_owned());
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
        eprintln!("preparing {name}");
    }
    let style = ProgressStyle::with_template("preparing {prefix}  {elapsed}  {wide_msg:.dim}");
    bar.set_style(style.context("the form of the progress")?);
    Ok(bar)
}

/// The lines of a log that say something, without colours.
fn lines(log: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(log);
    let plain = anstream::adapter::strip_str(&text).to_string();
    let lines = plain.split(['\n', '\r']).map(str::trim);
    lines
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}
