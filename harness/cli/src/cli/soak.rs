//! `harness soak`: how long, and where the result goes.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::chaos::say;
use super::choice::Choice;
use chaos::{Options, soak_contender};
use testbed::interrupt::Interrupt;
use testbed::output;
use testbed::terminal::print;

/// Options of `harness soak`.
#[derive(Args, Debug)]
pub(super) struct SoakOptions {
    #[command(flatten)]
    choice: Choice,
    /// How long
    #[arg(long, default_value = "1h", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// Requests in a second, a quarter of them to each scenario; of an upstream, a quarter with a wrong
    /// key
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    rate: u32,
    /// Time from a fault's end until all must be well again
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    recovery: Duration,
    /// Write what was seen as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs the command; false if something broke or grows.
pub(super) fn soak(options: &SoakOptions) -> Result<bool> {
    let interrupt = Interrupt::by_signal()?;
    let contenders = options.choice.contenders_or_upstreams(false, None)?;
    ensure!(contenders.len() == 1, "one contender is soaked at a time");
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
    let soak = soak_contender(contender, &run_options, &interrupt, &mut |fault, row| {
        say(&contender.name, fault, row);
    })
    .with_context(|| format!("soaking {}", contender.name))?;
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&soak)? + "\n";
        output::write(path, text)?;
    }
    print(soak.text().trim_end());
    Ok(soak.holds())
}
