//! `harness check`: checks contenders that it starts, or one that runs already.

mod watch;

use std::io::IsTerminal;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Error, Result, ensure};
use clap::Args;
use glob::Pattern;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use conformance::{
    Database, Format, Level, Options, RecordingUpstream, Report, Secrets, Subject, Target,
    run_watched,
};
use testbed::contender::{Category, Contender, Environment};
use testbed::interrupt::Interrupt;
use testbed::output;
use testbed::postgres::TemporaryPostgres;
use testbed::table;
use testbed::terminal::{print, show};

use super::choice::{Choice, build_all};
use super::external::{ExternalOptions, secrets};

/// Time for a contender to start once its upstream and its Postgres are there.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// The file name that means standard output.
const STDOUT: &str = "-";

/// Options of `harness check`.
#[derive(Args, Debug)]
#[command(after_help = "\
Levels: core is what the public harness's k6 scripts assert, work proves that the work is done
on every request with unpredictable inputs, strict is the whole contract.

Exit code: 0 if all pass, 1 if one fails, 2 if one could not be checked.")]
pub(super) struct CheckOptions {
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    external: ExternalOptions,
    /// Command that starts the contender instead; it listens on $PORT
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["all", "url"])]
    command: Option<String>,
    /// Start the contender in a container
    #[arg(long, conflicts_with_all = ["url", "command"])]
    containers: bool,
    /// With --url: port for the harness's Postgres, for the contender to use
    #[arg(
        long,
        value_name = "PORT",
        requires = "url",
        conflicts_with = "database_url"
    )]
    postgres_port: Option<u16>,
    /// With --url: check again whenever the contender restarts, first what failed last
    #[arg(long, requires = "url", conflicts_with_all = ["json", "junit", "markdown", "badge"])]
    watch: bool,
    /// Highest level of the checks [default: strict]
    #[arg(long)]
    level: Option<Level>,
    /// Level that must pass [default: --level, else what the contender promises]
    #[arg(long, value_name = "LEVEL")]
    fail_on: Option<Level>,
    /// Run only the checks whose name matches, such as `movies/4*`; repeatable
    #[arg(long, value_name = "GLOB", value_parser = |text: &str| Pattern::new(text))]
    only: Vec<Pattern>,
    /// List the checks and run none
    #[arg(long)]
    list: bool,
    /// Build the contenders and check nothing
    #[arg(long, conflicts_with_all = ["url", "command", "containers"])]
    build_only: bool,
    /// Print the passed checks too
    #[arg(short, long)]
    verbose: bool,
    /// Write JSON to a file, or print it instead of the table
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = STDOUT)]
    json: Option<PathBuf>,
    /// Write JUnit XML likewise
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = STDOUT)]
    junit: Option<PathBuf>,
    /// Write Markdown likewise
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = STDOUT)]
    markdown: Option<PathBuf>,
    /// Write a badge: SVG, or shields.io's JSON if FILE ends in .json; repeatable, for one contender
    #[arg(long, value_name = "FILE")]
    badge: Vec<PathBuf>,
}

/// Runs the command; false if a contender fails.
pub(super) fn check(options: &CheckOptions) -> Result<bool> {
    if options.list {
        list(options);
        return Ok(true);
    }
    for path in options.files() {
        output::expect_file(path)?;
    }
    ensure!(
        options.badge.is_empty() || options.choice.names.len() < 2 && !options.choice.all,
        "--badge is for one contender"
    );
    let interrupt = Interrupt::by_signal()?;
    let reports = match &options.external.url {
        Some(url) => vec![options.check_url(url, &interrupt)?],
        None => {
            let command = options.command.as_deref();
            let mut contenders = options.choice.contenders(options.containers, command)?;
            if options.choice.all {
                for ceiling in contenders.extract_if(.., |contender| contender.is_ceiling()) {
                    eprintln!(
                        "{} is skipped: it does none of the work by design; name it to check it",
                        ceiling.name
                    );
                }
                let file = options.choice.contenders.display();
                ensure!(!contenders.is_empty(), "{file} has no contender to check");
            }
            if options.build_only {
                return build_all(&contenders, &interrupt);
            }
            let checked = contenders
                .iter()
                .map(|contender| options.check_contender(contender, &interrupt));
            checked.collect::<Result<_>>()?
        }
    };
    options.write(&reports)?;
    ensure!(
        reports.iter().all(Report::is_whole),
        "the harness itself failed: the checks that are BROKEN have no result"
    );
    Ok(reports.iter().all(Report::passed))
}

fn list(options: &CheckOptions) {
    let checks = options.options(Level::Work).selected();
    let rows = checks
        .into_iter()
        .map(|check| [check.slug, check.level.to_string(), check.description]);
    print(table::texts(["CHECK", "LEVEL", "REQUIREMENT"], rows));
}

impl CheckOptions {
    /// Returns the checks to run on a contender that promises this level.
    fn options(&self, promises: Level) -> Options {
        Options {
            only: self.only.clone(),
            required: self.fail_on.or(self.level).unwrap_or(promises),
            ..Options::all_of(self.level.unwrap_or(Level::Strict))
        }
    }

    /// Checks a contender that it starts, with an upstream and a Postgres.
    fn check_contender(&self, contender: &Contender, interrupt: &Interrupt) -> Result<Report> {
        let run = || {
            if !self.containers {
                contender.build(interrupt)?;
            }
            let secrets = Secrets::bench();
            let upstream =
                RecordingUpstream::start(Ipv4Addr::LOCALHOST.into(), 0, &secrets.api_key)?;
            let postgres = TemporaryPostgres::start()?;
            interrupt.check()?;
            let environment = Environment {
                upstream: Some(upstream.address()),
                postgres_port: Some(postgres.port()),
                secrets: secrets.clone(),
                workers: None,
                cpus: None,
            };
            let running = contender.start(self.containers, &environment, interrupt)?;
            let database = Database::of(postgres)?;
            let target = Target::local(running.address);
            let subject = Subject::new(target, secrets, Some(upstream), Some(database));
            let options = Options {
                deviations: contender.deviations.clone(),
                ..self.options(contender.promises)
            };
            let report = watched(&Arc::new(subject), &options, &contender.name, interrupt)?;
            if let Err(ended) = running.must_run() {
                eprintln!("{}: {ended:#}", contender.name);
            }
            Ok::<_, Error>(report)
        };
        let report = run().with_context(|| format!("checking {}", contender.name))?;
        Ok(report.of(&contender.name, &contender.made_of, contender.category))
    }

    /// Checks a contender that runs already, or starts once its upstream and Postgres are there.
    fn check_url(&self, url: &str, interrupt: &Interrupt) -> Result<Report> {
        let secrets = secrets()?;
        let upstream = self.external.upstream();
        let upstream =
            upstream.map(|(host, port)| RecordingUpstream::start(host, port, &secrets.api_key));
        let upstream = upstream.transpose()?;
        let database = match (self.postgres_port, &self.external.database_url) {
            (Some(port), _) => Some(Database::of(TemporaryPostgres::start_on(port)?)?),
            (None, Some(url)) => Some(Database::at(url)?),
            (None, None) => None,
        };
        let waits = self.watch || upstream.is_some() || self.postgres_port.is_some();
        let target = match waits {
            true => ExternalOptions::target_within(url, START_TIMEOUT, interrupt)?,
            false => ExternalOptions::target(url)?,
        };
        let address = target.address();
        let subject = Arc::new(Subject::new(target, secrets, upstream, database));
        let options = self.options(Level::Work);
        if self.watch {
            match watch::watch(&subject, address, &options, url, interrupt)? {}
        }
        let report = watched(&subject, &options, url, interrupt)?;
        Ok(report.of(url, "", Category::Standard))
    }

    /// Returns the files to write.
    fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let paths = [&self.json, &self.junit, &self.markdown].into_iter();
        let paths = paths.flatten().filter(|path| *path != Path::new(STDOUT));
        paths.chain(&self.badge)
    }

    /// Writes the reports to files and to standard output.
    fn write(&self, reports: &[Report]) -> Result<()> {
        let verbose = self.verbose;
        let formats = [
            (&self.json, Format::Json),
            (&self.junit, Format::Junit),
            (&self.markdown, Format::Markdown),
        ];
        let mut shown = false;
        for (path, format) in formats {
            let Some(path) = path else { continue };
            let text = format.write(reports)?;
            if path == Path::new(STDOUT) {
                print(text.trim_end());
                shown = true;
            } else {
                output::write(path, text)?;
            }
        }
        for path in &self.badge {
            let is_json = path
                .extension()
                .is_some_and(|extension| extension == "json");
            let format = match is_json {
                true => Format::Shields,
                false => Format::Badge,
            };
            output::write(path, format.write(reports)?)?;
        }
        if !shown {
            let text = Format::Text { verbose }.write(reports)?;
            show(&text);
        }
        Ok(())
    }
}

/// Runs the checks with a progress bar if standard error is a terminal.
fn watched(
    subject: &Arc<Subject>,
    options: &Options,
    name: &str,
    interrupt: &Interrupt,
) -> Result<Report> {
    let bar = ProgressBar::new(0).with_message(name.to_owned());
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
        eprintln!("checking {name}");
    }
    let style = ProgressStyle::with_template("checking {msg}  {pos}/{len}  {elapsed}  {prefix}");
    bar.set_style(style.context("the template of the progress bar")?);
    let report = run_watched(subject, options, interrupt, |done, all, last| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
        bar.set_prefix(last.to_owned());
    });
    bar.finish_and_clear();
    report
}
