//! `harness chaos`: which contenders, which faults, and where the results go.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use glob::Pattern;

use super::choice::Choice;
use super::there::{ThereOptions, secrets};
use chaos::fault::{Fault, all};
use chaos::report::{Book, Report, text};
use chaos::row::Row;
use chaos::{Options, There, run, run_there};
use testbed::interrupt::Interrupt;
use testbed::output;
use testbed::terminal::{print, show, table};

/// Options of `harness chaos`.
#[derive(Args, Debug)]
pub(super) struct ChaosOptions {
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    there: ThereOptions,
    /// Only the faults whose name fits, such as `postgres/*`
    #[arg(long, value_name = "GLOBS", value_delimiter = ',', value_parser = |text: &str| Pattern::new(text))]
    faults: Vec<Pattern>,
    /// Requests in a second, a quarter of them to each scenario; of an upstream, a quarter with a wrong
    /// key
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    rate: u32,
    /// Time that each fault lasts: by default longer than every deadline of the contract but the one
    /// for a body
    #[arg(long, default_value = "7s", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// Time from a fault's end until all must be well again
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    recovery: Duration,
    /// Folder for chaos.json, chaos.md and chaos.html
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// List the faults and bring none about
    #[arg(long)]
    list: bool,
    /// Command line that starts the contender instead; it listens on $PORT
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["all", "url"])]
    command: Option<String>,
}

/// Runs the command; false if a contender broke under a fault.
pub(super) fn chaos(options: &ChaosOptions) -> Result<bool> {
    let run_options = options.run_options()?;
    if options.list {
        let faults = run_options.faults.iter();
        let rows = faults.map(|fault| [fault.slug.clone(), fault.what.to_owned()]);
        print(table(["FAULT", "WHAT IS DONE"], rows));
        return Ok(true);
    }
    if let Some(folder) = &options.out {
        output::expect_folder(folder)?;
    }
    let interrupt = Interrupt::by_signal()?;
    let reports = match &options.there.url {
        Some(url) => vec![options.at(url, &run_options, &interrupt)?],
        None => {
            let command = options.command.as_deref();
            let mut contenders = options.choice.contenders_or_upstreams(false, command)?;
            contenders.retain(|contender| !options.choice.all || !contender.is_limit());
            let shown = contenders.iter().map(|contender| {
                run(contender, &run_options, &interrupt, &mut |fault, row| {
                    say(&contender.name, fault, row);
                })
                .with_context(|| format!("chaos around {}", contender.name))
            });
            shown.collect::<Result<_>>()?
        }
    };
    for report in &reports {
        show(&text(report));
    }
    let holds = reports.iter().all(Report::holds);
    if let Some(folder) = &options.out {
        write(folder, reports)?;
    }
    Ok(holds)
}

impl ChaosOptions {
    fn run_options(&self) -> Result<Options> {
        let mut faults = all();
        let fits = |fault: &Fault| {
            self.faults.is_empty() || self.faults.iter().any(|glob| glob.matches(&fault.slug))
        };
        faults.retain(fits);
        ensure!(!faults.is_empty(), "no fault fits: see --list");
        ensure!(!self.duration.is_zero(), "a fault lasts some time");
        Ok(Options {
            faults,
            rate: f64::from(self.rate),
            duration: self.duration,
            recovery: self.recovery,
        })
    }

    fn at(&self, url: &str, options: &Options, interrupt: &Interrupt) -> Result<Report> {
        let there = There {
            target: ThereOptions::target(url)?,
            secrets: secrets()?,
            upstream: self.there.upstream(),
            database_url: self.there.database_url.clone(),
        };
        run_there(url, there, options, interrupt, &mut |fault, row| {
            say(url, fault, row);
        })
    }
}

fn write(folder: &Path, reports: Vec<Report>) -> Result<()> {
    output::fill_folder(folder, |new| Book::of(reports).write(new))?;
    eprintln!("the report is in {}", folder.display());
    Ok(())
}

/// A line of progress: what comes next, on a terminal; what came of it.
pub(super) fn say(contender: &str, fault: &Fault, row: Option<&Row>) {
    match row {
        Some(row) => eprintln!("{contender}: {} {}", fault.slug, row.verdict.name()),
        None if std::io::stderr().is_terminal() => eprint!("{contender}: {}…\r", fault.slug),
        None => {}
    }
}
