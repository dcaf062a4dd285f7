//! Which contenders a command is about, as its options say.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

use testbed::contender::{Contender, FILE, choose};

/// Options that name contenders.
#[derive(Args, Clone, Debug)]
pub(super) struct Choice {
    /// Contenders of contenders.toml, or else of --api-benchmarks
    #[arg(conflicts_with = "all")]
    pub(super) names: Vec<String>,
    /// Every contender there is
    #[arg(long)]
    pub(super) all: bool,
    /// File that lists the contenders
    #[arg(long, value_name = "FILE", default_value = FILE)]
    pub(super) contenders: PathBuf,
    /// Checkout of the public harness, whose contenders are offered too
    #[arg(long, value_name = "DIR")]
    api_benchmarks: Option<PathBuf>,
}

impl Choice {
    /// The contenders that are chosen; of all, those that can start so. With a `command`, they
    /// start by that instead of their own.
    ///
    /// # Errors
    /// There is no such contender, none is named, an upstream is, or a file cannot be read.
    pub(super) fn contenders(
        &self,
        in_container: bool,
        command: Option<&str>,
    ) -> Result<Vec<Contender>> {
        let chosen = self.contenders_or_upstreams(in_container, command)?;
        if let Some(Contender { name, .. }) = chosen.iter().find(|it| it.is_upstream()) {
            bail!("{name} is an upstream: `harness chaos` and `harness soak` alone take one");
        }
        Ok(chosen)
    }

    /// As [`Choice::contenders`], and upstreams too that are named.
    ///
    /// # Errors
    /// There is no such contender, none is named, or a file cannot be read.
    pub(super) fn contenders_or_upstreams(
        &self,
        in_container: bool,
        command: Option<&str>,
    ) -> Result<Vec<Contender>> {
        let checkout = self.api_benchmarks.as_deref();
        let mut chosen = choose(&self.names, self.all, &self.contenders, checkout, command)?;
        let counts = |it: &Contender| it.can_start(in_container) && !it.is_upstream();
        chosen.retain(|contender| !self.all || counts(contender));
        Ok(chosen)
    }
}
