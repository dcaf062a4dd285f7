//! The commands of `harness` and their options.

mod bench;
mod chaos;
mod check;
mod choice;
mod compare;
mod k6;
mod kit;
mod prepare;
mod report;
mod score;
mod soak;
mod there;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use schema::env::{EXIT_COULD_NOT_RUN, JWT_SECRET, POSTGRES_PORT, TARGET_PORT, UPSTREAM_PORT};
use schema::{Claims, fixtures};
use signal_hook::consts::SIGXFSZ;

use crate::guide::Guide;
use crate::{down, up};
use testbed::interrupt::Interrupt;
use testbed::postgres::obtain;
use testbed::terminal::{all_is_printed, print};
use testbed::token;

/// Exit code when a check failed: not everything runs.
const EXIT_FAILED: u8 = 1;

/// Starts the suite natively, checks contenders against the contract, measures them, hands out
/// tokens.
#[derive(Debug, Parser)]
#[command(name = "harness", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start Postgres, upstream and target; return when they are ready
    Up {
        #[command(flatten)]
        ports: Ports,
    },
    /// Stop all that `up` started
    Down {
        /// Remove the state folder too: the cluster, the logs, an unpacked PostgreSQL
        #[arg(long)]
        purge: bool,
    },
    /// Show what runs where; exit 1 unless all does
    Status,
    /// Show the logs
    Logs {
        /// Go on with what is written from now on
        #[arg(short, long)]
        follow: bool,
        /// One service's log only
        #[arg(value_parser = ["target", "upstream", "postgres"])]
        name: Option<String>,
    },
    /// Check that a contender keeps the contract and really does the work
    ///
    /// Exit code 0 if it passes, 1 if it does not, 2 if it could not be checked.
    Check(Box<check::CheckOptions>),
    /// Build contenders ahead: those of contenders.toml, of a checkout of the public harness, or both
    ///
    /// What is built already is left alone. Exit code 0 if all are ready, 2 if not.
    Prepare(prepare::PrepareOptions),
    /// Measure contenders: processor time per request, requests per second, latencies
    ///
    /// Exit code 0 if all were measured, 1 if one failed its check or did not start, 2 if nothing
    /// could be measured or the run was interrupted.
    Bench(Box<bench::BenchOptions>),
    /// Inject faults under load and report how a contender or an upstream survives them
    ///
    /// Exit code 0 if every fault is passed, 1 if one fails, 2 if chaos could not run.
    Chaos(Box<chaos::ChaosOptions>),
    /// Run hours of load with faults and report whether memory, descriptors or latency grow
    ///
    /// Exit code 0 if no fault fails and nothing grows, 1 otherwise, 2 if the soak could not run.
    Soak(soak::SoakOptions),
    /// Write the reports of a run again, from its results.jsonl
    Report(report::ReportOptions),
    /// Show what has changed from one run to another, and what of it is real
    Compare(compare::CompareOptions),
    /// Write the scripts of `--engine k6` with their inputs and users, for a load from elsewhere
    ///
    /// Tokens are signed with JWT_SECRET or else with the bench secret.
    K6(k6::K6Options),
    /// Print the field's score `vs all` of a run, or check that of a published table
    ///
    /// Exit code 1 if a published score does not follow from its figures.
    Score(score::ScoreOptions),
    /// Make our target a contender of a checkout of the public harness, and take it out again
    ///
    /// What is there already is left alone, and no file that somebody edited is overwritten.
    Kit(kit::KitOptions),
    /// Print the contract: the OpenAPI document, the table of checks, or both
    Contract {
        /// One of them only
        part: Option<Part>,
    },
    /// Print a token, signed with JWT_SECRET or else with the bench secret
    Token(TokenOptions),
    /// Print the URLs and the requests to paste, as `up` does at its end
    Urls {
        #[command(flatten)]
        ports: Ports,
        /// Port of Postgres, unless `up` started one
        #[arg(long, env = POSTGRES_PORT.0, default_value_t = POSTGRES_PORT.1)]
        postgres_port: u16,
    },
    /// Find or get a PostgreSQL server and print the folder of its executables
    #[command(hide = true)]
    Postgres,
    /// Unpack a PostgreSQL build into a folder
    #[cfg(feature = "embedded-postgres")]
    #[command(hide = true, name = testbed::postgres::embedded::UNPACK_COMMAND)]
    Unpack {
        /// Parent of the folder that is named by the version
        to: std::path::PathBuf,
    },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Part {
    Openapi,
    Checks,
}

#[derive(Args, Clone, Copy, Debug)]
struct Ports {
    /// Port of the target on 127.0.0.1
    #[arg(long, env = TARGET_PORT.0, default_value_t = TARGET_PORT.1,
          value_parser = clap::value_parser!(u16).range(1..))]
    target_port: u16,
    /// Port of the upstream on 127.0.0.1
    #[arg(long, env = UPSTREAM_PORT.0, default_value_t = UPSTREAM_PORT.1,
          value_parser = clap::value_parser!(u16).range(1..))]
    upstream_port: u16,
}

#[derive(Args, Debug)]
struct TokenOptions {
    /// Subject: the user's id [default: the seed row's]
    #[arg(long)]
    sub: Option<String>,
    /// The user's name [default: the seed row's]
    #[arg(long)]
    name: Option<String>,
    /// When it expires, in seconds since the epoch [default: never]
    #[arg(long, allow_negative_numbers = true)]
    exp: Option<i64>,
}

/// Runs the command of the process's arguments and says on standard error why it could not.
#[must_use]
pub(crate) fn run() -> ExitCode {
    // A file that may grow no more is an error of who writes to it, as a full disk is.
    let handled = signal_hook::flag::register(SIGXFSZ, Arc::default());
    if let Err(error) = handled {
        return failed(&error.into());
    }
    let code = run_command();
    match all_is_printed() {
        Ok(()) => code,
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("harness: {error:#}");
    EXIT_COULD_NOT_RUN.into()
}

fn run_command() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Up { ports } => up::up(ports.target_port, ports.upstream_port)
            .map(|guide| print(format_args!("\n{guide}"))),
        Command::Down { purge } => down::down(purge),
        Command::Status => match down::status() {
            Ok(false) => return EXIT_FAILED.into(),
            other => other.map(drop),
        },
        Command::Logs { follow, name } => down::logs(follow, name.as_deref()),
        Command::Check(options) => match check::check(&options) {
            Ok(false) => return EXIT_FAILED.into(),
            other => other.map(drop),
        },
        Command::Prepare(options) => prepare::prepare(&options),
        Command::Bench(options) => match bench::bench(&options) {
            Ok(false) => return EXIT_FAILED.into(),
            other => other.map(drop),
        },
        Command::Chaos(options) => match chaos::chaos(&options) {
            Ok(false) => return EXIT_FAILED.into(),
            other => other.map(drop),
        },
        Command::Soak(options) => match soak::run(&options) {
            Ok(false) => return EXIT_FAILED.into(),
            other => other.map(drop),
        },
        Command::Report(options) => report::report(&options),
        Command::Compare(options) => compare::compare(&options),
        Command::K6(options) => k6::write(&options),
        Command::Score(options) => match score::score(&options) {
            Ok(false) => return EXIT_FAILED.into(),
            other => other.map(drop),
        },
        Command::Kit(options) => kit::kit(&options),
        Command::Contract { part } => {
            print_contract(part);
            Ok(())
        }
        Command::Token(options) => print_token(options),
        Command::Urls {
            ports,
            postgres_port,
        } => {
            print_urls(ports, postgres_port);
            Ok(())
        }
        Command::Postgres => print_postgres(),
        #[cfg(feature = "embedded-postgres")]
        Command::Unpack { to } => testbed::postgres::unpack::unpack(&to),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn print_contract(part: Option<Part>) {
    if part != Some(Part::Checks) {
        print(schema::OPENAPI_JSON.trim_end());
    }
    if part != Some(Part::Openapi) {
        print(conformance::checks_table(&conformance::all()).trim_end());
    }
}

fn print_token(options: TokenOptions) -> Result<()> {
    let secret = there::secret(&JWT_SECRET)?;
    let Claims { sub, name, iat, .. } = fixtures::claims();
    let claims = Claims {
        sub: options.sub.unwrap_or(sub),
        name: options.name.unwrap_or(name),
        iat,
        exp: options.exp.map(Into::into),
        nbf: None,
    };
    print(token::sign(&claims, &secret));
    Ok(())
}

fn print_urls(ports: Ports, postgres_port: u16) {
    let guide = Guide {
        target_port: ports.target_port,
        upstream_port: ports.upstream_port,
        postgres_port: down::running_postgres().unwrap_or(postgres_port),
    };
    print(guide);
}

fn print_postgres() -> Result<()> {
    let server = obtain::shared_server(&Interrupt::by_signal()?)?;
    print(server.bin.display());
    Ok(())
}
