//! `harness up`: starts Postgres, the upstream and the target, and returns when they are ready.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use rustix::process::Signal;
use schema::env::{TARGET_PORT, UPSTREAM_PORT};
use testbed::account::Account;
use testbed::interrupt::Interrupt;
use testbed::port::{free_port, is_free, must_be_free};
use testbed::postgres::{Cluster, FAST_SHUTDOWN, base, seed, server};
use testbed::process::{Daemon, Watchdog};
use testbed::state::State;
use testbed::terminal::print;

use super::service::{Service, record_path, recorded_port};
use super::urls;

/// Time from the start of a service until it is ready.
const READY_TIMEOUT: Duration = Duration::from_secs(15);

/// Options of `harness up`: the ports of the services.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct UpOptions {
    /// Port of the target on 127.0.0.1
    #[arg(long, value_name = "PORT", env = TARGET_PORT.0, default_value_t = TARGET_PORT.1,
          hide_env_values = true, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) target_port: u16,
    /// Port of the upstream on 127.0.0.1
    #[arg(long, value_name = "PORT", env = UPSTREAM_PORT.0, default_value_t = UPSTREAM_PORT.1,
          hide_env_values = true, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) upstream_port: u16,
}

/// Runs the command: starts services that do not run, restarts those that run with other settings, and
/// leaves the others alone.
///
/// # Errors
/// Interrupted, or a service does not start: the services that this call started are stopped again.
pub(super) fn up(options: &UpOptions) -> Result<()> {
    let UpOptions {
        target_port,
        upstream_port,
    } = *options;
    ensure!(
        target_port != upstream_port,
        "{} and {} are both {target_port}: they must differ",
        TARGET_PORT.0,
        UPSTREAM_PORT.0
    );
    let interrupt = Interrupt::by_signal()?;
    let state = State::find()?;
    let _lock = state.lock(&interrupt)?;
    let mut start = Start {
        state: &state,
        interrupt: &interrupt,
        started: Vec::new(),
    };
    match start.all(options) {
        Ok(postgres_port) => {
            print("");
            urls::show(options, postgres_port)
        }
        Err(error) => {
            for (daemon, signal) in start.started.iter().rev() {
                if let Err(error) = daemon.stop(*signal) {
                    eprintln!("{}: {error:#}", daemon.name());
                }
            }
            Err(error)
        }
    }
}

/// One run of `up`, and the processes that it has started so far.
struct Start<'a> {
    state: &'a State,
    interrupt: &'a Interrupt,
    started: Vec<(Daemon, Signal)>,
}

impl Start<'_> {
    /// Starts the services and returns the port of Postgres.
    fn all(&mut self, ports: &UpOptions) -> Result<u16> {
        // Errors that are known before anything starts.
        let upstream = Service::upstream(self.state, ports.upstream_port)?;
        Service::target(self.state, ports.target_port, ports.upstream_port, 0)?;
        self.check_port("upstream", ports.upstream_port, UPSTREAM_PORT.0)?;
        self.check_port("target", ports.target_port, TARGET_PORT.0)?;

        let postgres_port = self.postgres()?;
        self.service(&upstream)?;
        let [target, upstream] = [ports.target_port, ports.upstream_port];
        self.service(&Service::target(
            self.state,
            target,
            upstream,
            postgres_port,
        )?)?;
        Ok(postgres_port)
    }

    /// Fails if another program than the service itself listens on the port.
    fn check_port(&self, name: &'static str, port: u16, variable: &str) -> Result<()> {
        let runs = self.state.daemon(name).running()?.is_some();
        match runs && recorded_port(self.state, name).is_none_or(|recorded| recorded == port) {
            true => Ok(()),
            false => must_be_free(port, variable),
        }
    }

    /// Starts Postgres unless it runs, and returns its port.
    fn postgres(&mut self) -> Result<u16> {
        let state = self.state.folder();
        let daemon = self.state.daemon("postgres");
        let recorded = recorded_port(self.state, "postgres");
        if daemon.running()?.is_some() {
            if let Some(port) = recorded
                && seed(port).unwrap_or(false)
            {
                eprintln!("postgres: runs already");
                return Ok(port);
            }
            eprintln!("postgres: runs but does not respond, restarting it");
            daemon.stop(FAST_SHUTDOWN)?;
        }
        let server = server(self.interrupt)?;
        let account = Account::for_postgres()?;
        let cluster = Cluster::new(&base(state, &account)?, server, account);
        cluster.ensure(self.interrupt, &Watchdog::new(None)?)?;

        // The same port as last time, if it is free: then the target need not be restarted.
        let port = match recorded.filter(|port| is_free(*port)) {
            Some(port) => port,
            None => free_port()?,
        };
        let record = record_path(self.state, "postgres");
        fs::write(&record, format!("{port}\n"))
            .with_context(|| format!("writing {}", record.display()))?;
        let begun = Instant::now();
        cluster.start(&daemon, port, self.interrupt)?;
        self.started.push((daemon, FAST_SHUTDOWN));
        eprintln!("postgres: ready in {:.2} s", begun.elapsed().as_secs_f32());
        Ok(port)
    }

    /// Starts a service unless it runs with the same settings.
    fn service(&mut self, service: &Service) -> Result<()> {
        let name = service.daemon.name();
        let begun = Instant::now();
        if service.is_up()? {
            self.wait_until_ready(service)?;
            eprintln!("{name}: runs already");
            return Ok(());
        }
        if service.daemon.stop(Signal::TERM)?.is_some() {
            eprintln!("{name}: has other settings or does not respond, restarting it");
        }
        self.started.push((service.daemon.clone(), Signal::TERM));
        service.start()?;
        self.wait_until_ready(service)?;
        eprintln!("{name}: ready in {:.2} s", begun.elapsed().as_secs_f32());
        Ok(())
    }

    fn wait_until_ready(&self, service: &Service) -> Result<()> {
        let mut last = String::new();
        let ready = self.interrupt.wait(READY_TIMEOUT, || {
            if service.daemon.running()?.is_none() {
                return Err(service.daemon.ended(None));
            }
            last = match service.get(service.ready_path) {
                Ok(response) if response.status == 200 => return Ok(Some(())),
                Ok(response) => format!("{} {}", response.status, response.text()),
                Err(error) => format!("{error:#}"),
            };
            Ok(None)
        })?;
        if ready.is_none() {
            bail!(
                "{} is not ready after {READY_TIMEOUT:?}: GET {} on port {}: {last}; its log is {}",
                service.daemon.name(),
                service.ready_path,
                service.port,
                service.daemon.log().display()
            );
        }
        Ok(())
    }
}
