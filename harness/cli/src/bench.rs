//! `harness bench`: the options of a run, and its begin or continuation.

mod progress;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser};

use load::cpu_lock::CpuLock;
use load::engine::Engine;
use load::engine::builtin::Builtin;
use load::engine::k6::K6;
use load::machine;
use load::record::{Line, Plan, Planned, Point, Rate, Run, SCHEMA};
use load::results::{self, Log};
use load::run::{Bench, External, now};
use load::scenario::Scenario;
use load::schedule::Schedule;
use rustix::process::Pid;
use testbed::contender::{Contender, read};
use testbed::cpus::Cpus;
use testbed::interrupt::Interrupt;
use testbed::postgres;

use super::choice::{Choice, build_all};
use super::external::{ExternalOptions, secrets};
use super::report::{ReportOptions, report};
use super::value::{Split, duration, pid, positive, rate, share};
use progress::Progress;

/// The folder of the results if none is named.
const REPORTS: &str = "reports";

/// With `--quick`: enough for a first impression.
const QUICK_DURATION: Duration = Duration::from_secs(2);

/// With `--quick`.
const QUICK_WARMUP: Duration = Duration::from_millis(500);

/// Options of `harness bench`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Without NAMES, all contenders are measured. A rate such as 50% is a share of the slowest
saturated contender's rate; sweep doubles the rate until each contender is saturated.

Exit code: 0 if all were measured, 1 if one failed its check or did not start,
2 if nothing was measured or the run was interrupted.")]
pub(super) struct BenchOptions {
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    external: ExternalOptions,
    /// With --url: process id of the contender, to measure its CPU time
    #[arg(long, value_name = "PID", requires = "url", value_parser = pid)]
    pid: Option<Pid>,
    /// Scenarios to measure
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_values_t = Scenario::ALL,
          hide_default_value = true)]
    scenarios: Vec<Scenario>,
    /// Times that each contender is started and measured; 0 for --rate only
    #[arg(long, value_name = "NUMBER", default_value_t = 3)]
    rounds: u32,
    /// Measured time of each attempt
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10s")]
    duration: Duration,
    /// Load before the measured time
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "2s")]
    warmup: Duration,
    /// Connections of the load; several are measured in turn, such as 1,100,10000
    #[arg(long, value_name = "NUMBERS", default_value = "100", value_delimiter = ',', value_parser = positive)]
    connections: Vec<usize>,
    /// Workers of each contender; several are measured in turn
    #[arg(long, value_name = "NUMBERS", default_value = "1", value_delimiter = ',', value_parser = positive)]
    workers: Vec<usize>,
    /// CPUs of the contender and of everything else, such as 0-1/2-7
    #[arg(long, value_name = "CONTENDER/OTHERS")]
    cpus: Option<Split>,
    /// Load generator
    #[arg(long, default_value = "builtin")]
    engine: EngineName,
    /// Open loops after the rounds, in requests/s, such as 5000,50%,sweep
    #[arg(long, value_name = "RATES", value_delimiter = ',', value_parser = rate)]
    rate: Vec<Rate>,
    /// Also measure the cost of refusals: share of requests with an expired token or a broken body
    #[arg(long, value_name = "PERCENT", value_parser = share, default_value = "0%", hide_default_value = true)]
    invalid: f64,
    /// Folder for the results [default: reports/DATE-HOST]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Continue the run in this folder, with its options
    #[arg(long, value_name = "DIR", exclusive = true)]
    resume: Option<PathBuf>,
    /// Short attempts: 2 s after half a second
    #[arg(long, conflicts_with_all = ["duration", "warmup"])]
    quick: bool,
    /// Build the contenders and measure nothing
    #[arg(long)]
    build_only: bool,
    /// Start contenders in containers: all, or the named ones
    #[arg(long, value_name = "NAMES", num_args = 0..=1, require_equals = true,
          default_missing_value = "", value_delimiter = ',')]
    containers: Option<Vec<String>>,
}

/// The recorded command line of a run, parsed again when the run is resumed.
#[derive(Debug, Parser)]
#[command(name = "harness")]
struct Recorded {
    #[command(subcommand)]
    command: RecordedCommand,
}

#[derive(Debug, clap::Subcommand)]
enum RecordedCommand {
    Bench(Box<BenchOptions>),
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum EngineName {
    /// Checks every response.
    Builtin,
    /// Grafana k6, as a cross-check.
    K6,
}

impl EngineName {
    fn engine(self) -> Box<dyn Engine> {
        match self {
            Self::Builtin => Box::new(Builtin),
            Self::K6 => Box::new(K6),
        }
    }
}

/// Runs the command; false if a contender failed its check or could not be measured.
pub(super) fn bench(options: &BenchOptions) -> Result<bool> {
    if let Some(folder) = &options.resume {
        let mut logs = resume(folder)?;
        let recorded = Recorded::try_parse_from(&logs[0].run().command)
            .context("reading the recorded command line")?;
        let RecordedCommand::Bench(options) = recorded.command;
        let contenders = options.chosen()?;
        let split = options.split()?;
        let _lock = CpuLock::acquire([&split.contender, &split.others], &logs[0].run().command)?;
        for log in &mut logs {
            log.append(Line::Resumed { at: now() })?;
        }
        return options.measure(folder, &contenders, &mut logs);
    }
    let is_fixed = |rate: &Rate| matches!(rate, Rate::Fixed(_));
    ensure!(
        options.rounds > 0 || options.rate.iter().any(is_fixed),
        "--rounds 0 measures nothing without a --rate in requests per second"
    );
    ensure!(
        options.invalid == 0.0 || matches!(options.engine, EngineName::Builtin),
        "--invalid needs the builtin engine: k6 expects every request to succeed"
    );
    let contenders = options.chosen()?;
    if options.build_only {
        return build_all(&contenders, &Interrupt::by_signal()?);
    }
    let split = options.split()?;
    let plans = options.plans(&contenders, &split);
    must_fit(&plans)?;
    let engine = options.engine.engine();
    let versions = machine::versions(
        engine.name(),
        &engine.version()?,
        &postgres::server(&Interrupt::never())?.version,
    );
    let _lock = CpuLock::acquire([&split.contender, &split.others], &command_line())?;
    let (started_at, this_machine) = (now(), machine::machine());
    let folder = options.folder(&started_at, &this_machine.host)?;
    let runs = plans.into_iter().map(|plan| Run {
        schema: SCHEMA,
        started_at: started_at.clone(),
        command: command_line(),
        commit: machine::commit(),
        machine: this_machine.clone(),
        versions: versions.clone(),
        plan,
    });
    let mut logs = begin(&folder, runs.collect())?;
    options.measure(&folder, &contenders, &mut logs)
}

/// Fails if a plan needs more connections than this process may open.
fn must_fit(plans: &[Plan]) -> Result<()> {
    let asked = plans.iter().map(|plan| plan.connections).max().unwrap_or(0);
    let max = serve::connections_max();
    ensure!(
        asked <= max,
        "{asked} connections are too many: the limit of open files (ulimit -n) allows {max}"
    );
    Ok(())
}

/// Creates the files of new runs: one in the folder itself, several in folders below it.
fn begin(folder: &Path, runs: Vec<Run>) -> Result<Vec<Log>> {
    let is_one = runs.len() == 1;
    let create = |run: Run| match is_one {
        true => Log::begin(folder, run),
        false => Log::begin(&folder.join(results::folder_name(&run.plan)), run),
    };
    let mut logs = Vec::new();
    for run in runs {
        match create(run) {
            Ok(log) => logs.push(log),
            Err(error) => {
                logs.into_iter().for_each(Log::discard);
                return Err(error);
            }
        }
    }
    Ok(logs)
}

/// Opens the runs of a folder to continue them.
fn resume(folder: &Path) -> Result<Vec<Log>> {
    let folders = results::folders(folder)?;
    folders.iter().map(|folder| Log::resume(folder)).collect()
}

impl BenchOptions {
    /// Returns the named contenders, or all.
    fn chosen(&self) -> Result<Vec<Contender>> {
        if let Some(url) = &self.external.url {
            return Ok(vec![Contender::named(url, "runs already")]);
        }
        let mut choice = self.choice.clone();
        choice.all |= choice.names.is_empty();
        let all_in_containers = self
            .containers
            .as_ref()
            .is_some_and(|names| names.iter().all(String::is_empty));
        choice.contenders(all_in_containers, None)
    }

    fn split(&self) -> Result<Split> {
        if let Some(split) = &self.cpus {
            // Do they exist?
            for cpus in [&split.contender, &split.others] {
                cpus.with(|| Ok(()))?;
            }
            return Ok(split.clone());
        }
        let available = Cpus::available()?;
        if self.external.url.is_none() {
            let (contender, others) = available.split();
            return Ok(Split { contender, others });
        }
        let contender = match self.pid {
            Some(_) => Cpus::of(self.pid)?,
            None => Cpus::default(),
        };
        let others = available.without(&contender);
        let is_none_left = others.numbers().is_empty();
        let others = if is_none_left { available } else { others };
        Ok(Split { contender, others })
    }

    /// Returns the contender that runs already, if a URL is given.
    fn external(&self) -> Result<Option<External>> {
        let Some(url) = &self.external.url else {
            return Ok(None);
        };
        Ok(Some(External {
            target: ExternalOptions::target(url)?,
            pid: self.pid,
            secrets: secrets()?,
            upstream: self.external.upstream(),
            database_url: self.external.database_url.clone(),
        }))
    }

    /// Returns a plan for each number of workers and of connections.
    fn plans(&self, contenders: &[Contender], split: &Split) -> Vec<Plan> {
        let mut points = Vec::new();
        for &workers in &self.workers {
            for &connections in &self.connections {
                points.push(Point {
                    workers,
                    connections,
                });
            }
        }
        points.sort_unstable();
        points.dedup();
        let plan = |point| self.plan(contenders, split, point);
        points.into_iter().map(plan).collect()
    }

    fn plan(&self, contenders: &[Contender], split: &Split, point: Point) -> Plan {
        let planned = contenders.iter().map(|contender| Planned {
            name: contender.name.clone(),
            made_of: contender.made_of.clone(),
            category: contender.category,
            in_container: self.in_container(contender),
            deviations: contender.deviations.clone(),
        });
        let (duration, warmup) = match self.quick {
            true => (QUICK_DURATION, QUICK_WARMUP),
            false => (self.duration, self.warmup),
        };
        let mut scenarios = self.scenarios.clone();
        scenarios.sort();
        scenarios.dedup();
        Plan {
            contenders: planned.collect(),
            scenarios,
            rounds: self.rounds,
            duration_secs: duration.as_secs_f64(),
            warmup_secs: warmup.as_secs_f64(),
            connections: point.connections,
            workers: point.workers,
            contender_cpus: split.contender.numbers().to_vec(),
            other_cpus: split.others.numbers().to_vec(),
            cpu_quota: machine::cpu_quota(),
            engine: self.engine.engine().name().to_owned(),
            invalid: self.invalid,
            rates: self.rate.clone(),
        }
    }

    fn in_container(&self, contender: &Contender) -> bool {
        match &self.containers {
            None => self.external.url.is_none() && contender.native.is_none(),
            Some(names) => names
                .iter()
                .any(|name| name.is_empty() || *name == contender.name),
        }
    }

    /// Returns the folder for the results, which holds no run yet.
    fn folder(&self, started_at: &str, host: &str) -> Result<PathBuf> {
        if let Some(folder) = &self.out {
            return Ok(folder.clone());
        }
        let date = started_at.split('T').next().unwrap_or_default();
        let name = format!("{date}-{host}");
        let numbered = (2..1000).map(|number| format!("{name}-{number}"));
        let free = std::iter::once(name.clone())
            .chain(numbered)
            .map(|name| Path::new(REPORTS).join(name))
            .find(|folder| !folder.exists());
        free.with_context(|| {
            format!("{REPORTS} has too many runs of {date}: name a folder with --out")
        })
    }

    /// Measures the remaining attempts of the runs, and writes their reports.
    fn measure(&self, folder: &Path, contenders: &[Contender], logs: &mut [Log]) -> Result<bool> {
        let planned = logs[0].run().plan.contenders.clone();
        let planned = planned.iter().map(|planned| &planned.name);
        ensure!(
            planned.eq(contenders.iter().map(|contender| &contender.name)),
            "the contenders have changed since the run in {} began: start a new run",
            folder.display()
        );
        let interrupt = Interrupt::by_signal()?;
        let split = self.split()?;
        let external = self.external()?;
        let ceiling = match external {
            Some(_) => None,
            None => read(&self.choice.contenders)?
                .into_iter()
                .find(Contender::is_ceiling),
        };
        let natives = contenders
            .iter()
            .filter(|contender| external.is_none() && !self.in_container(contender));
        for contender in natives.chain(&ceiling) {
            let built = contender.build(&interrupt);
            interrupt.check()?;
            // Not fatal: the start fails for the same reason, and the report says so.
            if let Err(error) = built {
                eprintln!("{}: {error:#}", contender.name);
            }
        }
        split.others.pin()?;
        let engine = self.engine.engine();
        let progress = Progress::new(logs)?;
        let bench = Bench {
            contenders,
            ceiling: ceiling.as_ref(),
            external: external.as_ref(),
            engine: &*engine,
            cpus: &split.contender,
            interrupt: &interrupt,
            progress: &|schedule, what| progress.show(schedule, what),
        };
        let done = bench.run(logs);
        progress.bar.finish_and_clear();
        if let Err(error) = done {
            let kept: usize = logs.iter().map(|log| Schedule::new(log).done()).sum();
            return Err(error.context(format!(
                "{kept} attempts are kept: continue with `harness bench --resume {}`",
                folder.display()
            )));
        }
        report(&ReportOptions {
            folder: folder.to_owned(),
            baseline: None,
        })
        .with_context(|| {
            format!(
                "all attempts are made: write the reports with `harness report {}`",
                folder.display()
            )
        })?;
        let mut lines = logs.iter().flat_map(Log::lines);
        let all_measured = !lines.any(|line| match line {
            Line::Failure(_) => true,
            Line::Start(start) => !start.failed.is_empty(),
            _ => false,
        });
        Ok(all_measured)
    }
}

/// Returns the command line to record, without the folder of the executable and the password of a database:
/// sqlx reads that from `PGPASSWORD` when the run is resumed.
fn command_line() -> Vec<String> {
    let words = std::env::args().skip(1);
    let words = words.map(|word| without_password(&word).unwrap_or(word));
    std::iter::once("harness".to_owned()).chain(words).collect()
}

/// Returns a URL, or an option with one, without its password; none for any other word.
fn without_password(word: &str) -> Option<String> {
    let (scheme, rest) = word.split_once("://")?;
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = address.split_at(address.find('/').unwrap_or(address.len()));
    let authority = match authority.rsplit_once('@') {
        Some((user, host)) => format!("{}@{host}", user.split(':').next().unwrap_or_default()),
        None => authority.to_owned(),
    };
    let parameters = query.split('&').filter(|it| !it.starts_with("password="));
    let query = parameters.collect::<Vec<_>>().join("&");
    let mark = if query.is_empty() { "" } else { "?" };
    Some(format!("{scheme}://{authority}{path}{mark}{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_of_a_database_is_not_recorded() {
        for (word, expected) in [
            ("postgres://u:p@h:1/d", Some("postgres://u@h:1/d")),
            (
                "--database-url=postgres://u:p%40@h/d?password=p&user=v",
                Some("--database-url=postgres://u@h/d?user=v"),
            ),
            ("http://127.0.0.1:8000/a", Some("http://127.0.0.1:8000/a")),
            ("--quick", None),
        ] {
            assert_eq!(without_password(word).as_deref(), expected, "{word}");
        }
    }

    #[test]
    fn recorded_command_line_is_parsed_again() {
        let words = ["harness", "bench", "axum", "--rate", "25%,sweep", "--quick"];
        let RecordedCommand::Bench(options) = Recorded::try_parse_from(words).unwrap().command;
        assert_eq!(options.choice.names, ["axum"]);
        assert_eq!(options.rate, [Rate::PercentOfSlowest(25.0), Rate::Sweep]);
        assert!(options.quick);
    }
}
