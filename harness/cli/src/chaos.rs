//! `harness chaos`: injects faults around contenders under load.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use glob::Pattern;

use chaos::fault::{Fault, all};
use chaos::report::{ChaosFile, Report};
use chaos::result::FaultResult;
use chaos::{External, Options, Subject, run};
use testbed::interrupt::Interrupt;
use testbed::output;
use testbed::table;
use testbed::terminal::{print, show};

use super::choice::Choice;
use super::external::{ExternalOptions, secrets};
use super::value::duration;

/// Options of `harness chaos`.
#[derive(Args, Debug)]
#[command(after_help = "\
Exit code: 0 if the contract is kept under every fault, 1 if not, 2 if that is unknown.")]
pub(super) struct ChaosOptions {
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    external: ExternalOptions,
    /// Command that starts the contender instead; it listens on $PORT
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["all", "url"])]
    command: Option<String>,
    /// Inject only the faults whose name matches, such as `postgres/*`
    #[arg(long, value_name = "GLOBS", value_delimiter = ',', value_parser = |text: &str| Pattern::new(text))]
    faults: Vec<Pattern>,
    /// List the faults and inject none
    #[arg(long)]
    list: bool,
    /// Requests per second, a quarter for each scenario
    #[arg(long, value_name = "NUMBER", default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    rate: u32,
    /// Time that each fault lasts; the default exceeds the contract's deadlines
    #[arg(long, value_name = "TIME", default_value = "7s", value_parser = duration)]
    duration: Duration,
    /// Time after a fault within which the contender must recover
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = humantime::parse_duration)]
    recovery: Duration,
    /// Folder for chaos.json, report.md and report.html
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs the command; false if a contender did not survive a fault.
pub(super) fn chaos(options: &ChaosOptions) -> Result<bool> {
    let run_options = options.run_options()?;
    if options.list {
        let faults = run_options.faults.iter();
        let rows = faults.map(|fault| [fault.slug.clone(), fault.description.to_owned()]);
        print(table::texts(["FAULT", "DESCRIPTION"], rows));
        return Ok(true);
    }
    if let Some(folder) = &options.out {
        output::expect_folder(folder)?;
    }
    let interrupt = Interrupt::by_signal()?;
    let reports = match &options.external.url {
        Some(url) => vec![options.at(url, &run_options, &interrupt)?],
        None => {
            let command = options.command.as_deref();
            let mut contenders = options.choice.contenders_or_upstreams(false, command)?;
            contenders.retain(|contender| !options.choice.all || !contender.is_ceiling());
            let shown = contenders.iter().map(|contender| {
                run(
                    &Subject::Started(contender),
                    &run_options,
                    &interrupt,
                    &mut |fault, result| {
                        show_progress(&contender.name, fault, result);
                    },
                )
                .with_context(|| format!("chaos of {}", contender.name))
            });
            shown.collect::<Result<_>>()?
        }
    };
    for report in &reports {
        show(&report.text());
    }
    let passed = reports.iter().all(Report::passed);
    if let Some(folder) = &options.out {
        write(folder, reports)?;
    }
    Ok(passed)
}

impl ChaosOptions {
    fn run_options(&self) -> Result<Options> {
        let mut faults = all();
        let fits = |fault: &Fault| {
            self.faults.is_empty() || self.faults.iter().any(|glob| glob.matches(&fault.slug))
        };
        faults.retain(fits);
        ensure!(
            !faults.is_empty(),
            "no fault matches --faults: see `harness chaos --list`"
        );
        Ok(Options {
            faults,
            rate: f64::from(self.rate),
            duration: self.duration,
            recovery: self.recovery,
        })
    }

    fn at(&self, url: &str, options: &Options, interrupt: &Interrupt) -> Result<Report> {
        let external = External {
            url: url.to_owned(),
            target: ExternalOptions::target(url)?,
            secrets: secrets()?,
            upstream: self.external.upstream(),
            database_url: self.external.database_url.clone(),
        };
        run(
            &Subject::External(external),
            options,
            interrupt,
            &mut |fault, result| {
                show_progress(url, fault, result);
            },
        )
    }
}

fn write(folder: &Path, reports: Vec<Report>) -> Result<()> {
    output::fill_folder(folder, |new| ChaosFile::new(reports).write(new))?;
    eprintln!("the report is in {}", folder.display());
    Ok(())
}

/// Prints a line of progress: the next fault, on a terminal only, or its verdict.
pub(super) fn show_progress(contender: &str, fault: &Fault, result: Option<&FaultResult>) {
    match result {
        Some(result) => eprintln!("{contender}: {} {}", fault.slug, result.verdict.name()),
        None if std::io::stderr().is_terminal() => eprint!("{contender}: {}…\r", fault.slug),
        None => {}
    }
}
