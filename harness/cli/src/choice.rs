//! The options of a command that choose contenders.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

use testbed::contender::{Contender, FILE, choose};
use testbed::interrupt::Interrupt;
use testbed::terminal::print;

/// Options that choose contenders.
#[derive(Args, Clone, Debug)]
pub(super) struct Choice {
    /// Names of contenders
    #[arg(conflicts_with = "all")]
    pub(super) names: Vec<String>,
    /// Choose all contenders
    #[arg(long)]
    pub(super) all: bool,
    /// File of the contender definitions
    #[arg(long, value_name = "FILE", default_value = FILE)]
    pub(super) contenders: PathBuf,
    /// Checkout of the public harness, for its contenders
    #[arg(long, value_name = "DIR")]
    api_benchmarks: Option<PathBuf>,
}

impl Choice {
    /// Returns the chosen contenders; `--all` leaves out those that cannot start this way. A
    /// `command` replaces their own.
    ///
    /// # Errors
    /// No contender is named, a name is unknown or an upstream's, or a file cannot be read.
    pub(super) fn contenders(
        &self,
        in_container: bool,
        command: Option<&str>,
    ) -> Result<Vec<Contender>> {
        let chosen = self.contenders_or_upstreams(in_container, command)?;
        if let Some(Contender { name, .. }) = chosen.iter().find(|it| it.is_upstream()) {
            bail!("{name} is an upstream: only `harness chaos` and `harness soak` take one");
        }
        Ok(chosen)
    }

    /// Returns the chosen contenders as [`Choice::contenders`] does, and named upstreams.
    ///
    /// # Errors
    /// No contender is named, a name is unknown, or a file cannot be read.
    pub(super) fn contenders_or_upstreams(
        &self,
        in_container: bool,
        command: Option<&str>,
    ) -> Result<Vec<Contender>> {
        let checkout = self.api_benchmarks.as_deref();
        let mut chosen = choose(&self.names, self.all, &self.contenders, checkout, command)?;
        if self.all {
            chosen.retain(|it| it.can_start(in_container) && !it.is_upstream());
        }
        Ok(chosen)
    }
}

/// Builds every contender; false if one cannot be built.
///
/// # Errors
/// Interrupted.
pub(super) fn build_all(contenders: &[Contender], interrupt: &Interrupt) -> Result<bool> {
    let mut all_built = true;
    for contender in contenders {
        eprintln!("building {}", contender.name);
        let built = contender.build(interrupt);
        interrupt.check()?;
        all_built &= built.is_ok();
        match built {
            Ok(()) => print(format_args!("{}: ready", contender.name)),
            Err(error) => print(format_args!("{}: not ready: {error:#}", contender.name)),
        }
    }
    Ok(all_built)
}
