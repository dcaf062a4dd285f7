//! The `harness` binary. Each command is a file with its options and one function that runs it.

mod bench;
mod chaos;
mod check;
mod choice;
mod compare;
mod contract;
mod down;
mod external;
mod k6;
mod kit;
mod logs;
mod report;
mod service;
mod soak;
mod status;
mod token;
mod up;
mod urls;
mod value;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use clap::{ArgAction, Parser, Subcommand};
use schema::env::EXIT_COULD_NOT_RUN;
use signal_hook::consts::SIGXFSZ;
use testbed::terminal::all_is_printed;

/// Exit code if a check failed, or a service does not run.
const EXIT_FAILED: u8 = 1;

/// Runs the benchmark suite: starts its services, checks contenders against the contract, measures
/// them, and injects faults.
#[derive(Debug, Parser)]
#[command(
    name = "harness",
    version,
    disable_help_subcommand = true,
    disable_help_flag = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print help
    #[arg(short, long, global = true, action = ArgAction::HelpShort, display_order = 1000)]
    help: Option<bool>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start Postgres, the upstream and the target, and wait until they are ready
    Up(up::UpOptions),
    /// Stop the services that `up` started
    Down(down::DownOptions),
    /// Show which services run and where; exit code 1 unless all run
    Status,
    /// Print the logs of the services
    Logs(logs::LogsOptions),
    /// Print the URLs of the services, and requests to paste
    Urls(urls::UrlsOptions),
    /// Print a token, signed with JWT_SECRET or the bench secret
    Token(token::TokenOptions),
    /// Print the contract: the OpenAPI document and the table of checks
    Contract(contract::ContractOptions),
    /// Check that a contender keeps the contract and does the work
    Check(Box<check::CheckOptions>),
    /// Measure contenders: CPU time per request, requests per second, latencies
    Bench(Box<bench::BenchOptions>),
    /// Write the reports of a run again, from its results.jsonl
    Report(report::ReportOptions),
    /// Compare two runs: the changes, and which of them are significant
    Compare(compare::CompareOptions),
    /// Inject faults under a steady load, and report which ones a contender survives
    Chaos(Box<chaos::ChaosOptions>),
    /// Load a contender for hours, with faults, and report what breaks or grows
    Soak(soak::SoakOptions),
    /// Write the k6 scripts of the load and their inputs
    K6(k6::K6Options),
    /// Add our target to a checkout of the public harness, or take it out
    Kit(kit::KitOptions),
}

impl Command {
    /// Runs the command; false if a check failed or a service does not run.
    fn run(self) -> Result<bool> {
        let done = |()| true;
        match self {
            Self::Up(options) => up::up(&options).map(done),
            Self::Down(options) => down::down(&options).map(done),
            Self::Status => status::status(),
            Self::Logs(options) => logs::logs(&options).map(done),
            Self::Urls(options) => urls::urls(&options).map(done),
            Self::Token(options) => token::token(options).map(done),
            Self::Contract(options) => {
                contract::contract(&options);
                Ok(true)
            }
            Self::Check(options) => check::check(&options),
            Self::Bench(options) => bench::bench(&options),
            Self::Report(options) => report::report(&options).map(done),
            Self::Compare(options) => compare::compare(&options).map(done),
            Self::Chaos(options) => chaos::chaos(&options),
            Self::Soak(options) => soak::run(&options),
            Self::K6(options) => k6::write(&options).map(done),
            Self::Kit(options) => kit::kit(&options).map(done),
        }
    }
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    // Beyond the limit of the file size, a write shall fail as on a full disk, not end the process.
    let outcome = signal_hook::flag::register(SIGXFSZ, Arc::default())
        .map_err(Into::into)
        .and_then(|_| command.run())
        .and_then(|passed| all_is_printed().map(|()| passed));
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => EXIT_FAILED.into(),
        Err(error) => {
            eprintln!("harness: {error:#}");
            EXIT_COULD_NOT_RUN.into()
        }
    }
}
