//! A contender that the user started: its URL, its secrets, and what the harness runs beside it.

use std::env;
use std::net::{IpAddr, Ipv4Addr};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use schema::env::{Environment, JWT_SECRET, UPSTREAM_API_KEY, Variable, bench_value};

use conformance::{Secrets, Target};
use testbed::interrupt::Interrupt;
use testbed::raw::Connection;

/// Time for the contender to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Interval between two attempts to reach a contender that starts.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Options that describe the contender.
#[derive(Args, Clone, Debug)]
pub(super) struct ExternalOptions {
    /// URL of a contender that runs already
    #[arg(long, value_name = "URL", conflicts_with_all = ["names", "all"])]
    pub(super) url: Option<String>,
    /// With --url: port for the harness's upstream, for the contender to call
    #[arg(long, value_name = "PORT", requires = "url")]
    upstream_port: Option<u16>,
    /// With --upstream-port: address that the upstream listens on
    #[arg(long, value_name = "ADDRESS", requires = "upstream_port", default_value_t = Ipv4Addr::LOCALHOST.into())]
    upstream_host: IpAddr,
    /// With --url: database of the contender; its table `users` is changed and locked
    #[arg(long, value_name = "URL", requires = "url")]
    pub(super) database_url: Option<String>,
}

impl ExternalOptions {
    /// Returns the contender at this URL.
    ///
    /// # Errors
    /// The URL is invalid, or the contender accepts no connection.
    pub(super) fn target(url: &str) -> Result<Target> {
        let target = Target::at(url)?;
        Connection::open_within(target.address(), CONNECT_TIMEOUT)
            .with_context(|| format!("no contender at {url}"))?;
        Ok(target)
    }

    /// Returns the contender at this URL once it accepts connections.
    ///
    /// # Errors
    /// The URL is invalid, the contender accepts no connection in time, or interrupted.
    pub(super) fn target_within(
        url: &str,
        timeout: Duration,
        interrupt: &Interrupt,
    ) -> Result<Target> {
        let deadline = Instant::now() + timeout;
        Target::at(url)?;
        loop {
            match Self::target(url) {
                Err(_) if Instant::now() < deadline => {
                    interrupt.check()?;
                    sleep(POLL_INTERVAL);
                }
                target => return target,
            }
        }
    }

    /// Returns the address for the harness's upstream, if the contender calls it.
    pub(super) fn upstream(&self) -> Option<(IpAddr, u16)> {
        self.upstream_port.map(|port| (self.upstream_host, port))
    }
}

/// Returns the secrets that the contender was started with.
pub(super) fn secrets() -> Result<Secrets> {
    Ok(Secrets {
        jwt_secret: secret(&JWT_SECRET)?,
        api_key: secret(&UPSTREAM_API_KEY)?,
    })
}

/// Returns the value of the variable, or its bench value if it is not set.
pub(super) fn secret(variable: &Variable) -> Result<String> {
    match env::var_os(variable.name) {
        None => Ok(bench_value(variable).to_owned()),
        Some(_) => Ok(Environment(|name: &str| env::var_os(name)).text(variable)?),
    }
}
