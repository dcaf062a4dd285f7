//! `harness up`: Postgres, upstream and target, running and ready when it returns.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::process::Signal;
use schema::env::{TARGET_PORT, UPSTREAM_PORT};

use crate::down::HELPERS;
use crate::guide::Guide;
use crate::service::{Service, recorded_port};
use testbed::account::Account;
use testbed::daemon::Daemon;
use testbed::interrupt::Interrupt;
use testbed::port::{free_port, is_free, must_be_free};
use testbed::postgres::base::base;
use testbed::postgres::cluster::{Cluster, FAST_SHUTDOWN};
use testbed::postgres::obtain;
use testbed::postgres::seed::seed;
use testbed::state::State;

/// Time from the start of a service to its readiness.
const READY_TIMEOUT: Duration = Duration::from_secs(15);

/// Starts what does not run, restarts what runs otherwise than it would be started now, leaves the
/// rest alone, and waits until all of it is ready.
///
/// # Errors
/// Interrupted, or a part does not come up: what this call started is stopped again.
pub(crate) fn up(target_port: u16, upstream_port: u16) -> Result<Guide> {
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
    start
        .run(target_port, upstream_port)
        .map_err(|error| match start.stop() {
            Ok(()) => error,
            Err(stop) => anyhow!("{error:#}; and then: {stop:#}"),
        })
}

/// One run of `up`: what it has started so far.
struct Start<'a> {
    state: &'a State,
    interrupt: &'a Interrupt,
    started: Vec<(Daemon, Signal)>,
}

impl Start<'_> {
    fn run(&mut self, target_port: u16, upstream_port: u16) -> Result<Guide> {
        // What can be known before anything starts.
        let upstream = Service::upstream(self.state, upstream_port)?;
        Service::target(self.state, target_port, upstream_port, 0)?;
        self.check_port("upstream", upstream_port, UPSTREAM_PORT.0)?;
        self.check_port("target", target_port, TARGET_PORT.0)?;

        let postgres_port = self.postgres()?;
        self.service(&upstream)?;
        let target = Service::target(self.state, target_port, upstream_port, postgres_port)?;
        self.service(&target)?;
        Ok(Guide {
            target_port,
            upstream_port,
            postgres_port,
        })
    }

    /// A port is free, or a service of ours has it: that one stays, or makes room.
    fn check_port(&self, name: &'static str, port: u16, variable: &str) -> Result<()> {
        let runs = self.state.daemon(name).running()?.is_some();
        if runs && recorded_port(self.state, name).is_none_or(|recorded| recorded == port) {
            return Ok(());
        }
        must_be_free(port, variable)
    }

    /// Gives the port.
    fn postgres(&mut self) -> Result<u16> {
        let state = self.state.folder();
        let daemon = self.state.daemon("postgres");
        let record = state.join("postgres.started");
        let recorded = recorded_port(self.state, "postgres");
        // A crash of an earlier start may have left its helpers behind.
        for helper in HELPERS {
            self.state.daemon(helper).stop(Signal::TERM)?;
        }
        if daemon.running()?.is_some() {
            if let Some(port) = recorded
                && seed(port).unwrap_or(false)
            {
                eprintln!("postgres: runs already");
                return Ok(port);
            }
            eprintln!("postgres: runs but does not answer, starting it anew");
            daemon.stop(FAST_SHUTDOWN)?;
        }

        let server = obtain::server(state, self.interrupt)?;
        let account = Account::for_postgres()?;
        let base = base(state, &account)?;
        let cluster = Cluster::new(&base, state, server, account);
        cluster.ensure(self.interrupt, |_| {})?;

        let port = match recorded.filter(|port| is_free(*port)) {
            Some(port) => port,
            None => free_port()?,
        };
        fs::write(&record, format!("{port}\n"))
            .with_context(|| format!("writing {}", record.display()))?;
        let begun = Instant::now();
        cluster.start(&daemon, port, self.interrupt, |_| {})?;
        self.started.push((daemon, FAST_SHUTDOWN));
        eprintln!("postgres: ready in {:.2} s", begun.elapsed().as_secs_f32());
        Ok(port)
    }

    fn service(&mut self, service: &Service) -> Result<()> {
        let name = service.daemon.name();
        let begun = Instant::now();
        if service.is_up()? {
            self.wait_until_ready(service)?;
            eprintln!("{name}: runs already");
            return Ok(());
        }
        if service.daemon.stop(Signal::TERM)?.is_some() {
            eprintln!("{name}: runs otherwise or does not answer, starting it anew");
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
                Ok(answer) if answer.status == 200 => return Ok(Some(())),
                Ok(answer) => format!("{} {}", answer.status, answer.text()),
                Err(error) => format!("{error:#}"),
            };
            Ok(None)
        })?;
        if ready.is_none() {
            let (name, path) = (service.daemon.name(), service.ready_path);
            let log = service.daemon.log();
            bail!(
                "{name} is not ready after {READY_TIMEOUT:?}: GET {path} on port {} says: {last}; \
                 its log is {}",
                service.port,
                log.display()
            );
        }
        Ok(())
    }

    /// Stops what this run started, last first.
    fn stop(&self) -> Result<()> {
        let mut stopped = self
            .started
            .iter()
            .rev()
            .map(|(daemon, signal)| daemon.stop(*signal));
        stopped.try_for_each(|stopped| stopped.map(drop))
    }
}
