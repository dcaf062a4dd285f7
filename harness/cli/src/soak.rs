//! `harness soak`: loads one contender for hours, with faults.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::chaos::show_progress;
use super::choice::Choice;
use super::value::duration;
use chaos::{Options, soak};
use testbed::interrupt::Interrupt;
use testbed::output;
use testbed::terminal::print;

/// Options of `harness soak`.
#[derive(Args, Debug)]
#[command(after_help = "\
Exit code: 0 if nothing breaks or grows, 1 if something does, 2 if that is unknown.")]
pub(super) struct SoakOptions {
    #[command(flatten)]
    choice: Choice,
    /// Time of the load
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration)]
    duration: Duration,
    /// Requests per second, a quarter for each scenario
    #[arg(long, value_name = "NUMBER", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    rate: u32,
    /// Time after a fault within which the contender must recover
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = humantime::parse_duration)]
    recovery: Duration,
    /// Write the result as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs the command; returns false if a fault failed or a metric grows.
pub(super) fn run(options: &SoakOptions) -> Result<bool> {
    let interrupt = Interrupt::by_signal()?;
    let contenders = options.choice.contenders_or_upstreams(false, None)?;
    ensure!(
        contenders.len() == 1,
        "name one contender: soak takes one at a time"
    );
    if let Some(path) = &options.json {
        output::expect_file(path)?;
    }
    let contender = &contenders[0];
    let run_options = Options {
        faults: Vec::new(),
        rate: f64::from(options.rate),
        duration: options.duration,
        recovery: options.recovery,
    };
    let soak = soak(contender, &run_options, &interrupt, &mut |fault, result| {
        show_progress(&contender.name, fault, result);
    })
    .with_context(|| format!("soaking {}", contender.name))?;
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&soak)? + "\n";
        output::write(path, text)?;
    }
    print(soak.text().trim_end());
    Ok(soak.passed())
}
