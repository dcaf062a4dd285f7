//! The upstream and the target as processes that `up` starts.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use schema::env::{
    DB_HOST, DB_POOL_SIZE, DB_PORT, HOST, PORT, PROFILE, UPSTREAM_FAULTS, UPSTREAM_POOL_SIZE,
    UPSTREAM_URL, Variable, WORKERS,
};
use schema::routes;
use testbed::process::{Daemon, Program};
use testbed::raw::{Answer, Connection};
use testbed::state::State;
use testbed::terminal::ADDRESS;

/// Variables of the caller that the services keep.
const TUNABLE: [Variable; 4] = [WORKERS, PROFILE, DB_POOL_SIZE, UPSTREAM_POOL_SIZE];

/// Time for one response; `/ready` tries Postgres and the upstream first.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A service on a port.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) daemon: Daemon,
    /// Port on 127.0.0.1.
    pub(crate) port: u16,
    /// Path that responds with 200 once the service is ready.
    pub(crate) ready_path: &'static str,
    program: Program,
    record: PathBuf,
}

impl Service {
    /// Creates the upstream, with faults on demand.
    ///
    /// # Errors
    /// The executable is not built.
    pub(crate) fn upstream(state: &State, port: u16) -> Result<Self> {
        let program = program("upstream", port)?.variable(UPSTREAM_FAULTS.name, "1");
        Ok(Self::new(state, "upstream", port, routes::HEALTH, program))
    }

    /// Creates the target, with the upstream and the Postgres on these ports.
    ///
    /// # Errors
    /// The executable is not built.
    pub(crate) fn target(state: &State, port: u16, upstream: u16, postgres: u16) -> Result<Self> {
        let program = program("target-axum", port)?
            .variable(UPSTREAM_URL.name, format!("http://{ADDRESS}:{upstream}"))
            .variable(DB_HOST.name, ADDRESS.to_string())
            .variable(DB_PORT.name, postgres.to_string());
        Ok(Self::new(state, "target", port, routes::READY, program))
    }

    fn new(
        state: &State,
        name: &'static str,
        port: u16,
        ready_path: &'static str,
        program: Program,
    ) -> Self {
        Self {
            daemon: state.daemon(name),
            port,
            ready_path,
            program,
            record: record_path(state, name),
        }
    }

    /// Returns true if the service runs with these settings and responds.
    ///
    /// # Errors
    /// The state cannot be read.
    pub(crate) fn is_up(&self) -> Result<bool> {
        let same = fs::read_to_string(&self.record).ok() == Some(self.record()?);
        let runs = self.daemon.running()?.is_some();
        Ok(runs
            && same
            && self
                .get(routes::HEALTH)
                .is_ok_and(|answer| answer.status == 200))
    }

    /// Starts the service, which must not run.
    ///
    /// # Errors
    /// The process cannot be started.
    pub(crate) fn start(&self) -> Result<()> {
        let _ = fs::remove_file(&self.record);
        self.daemon.start(&self.program)?;
        fs::write(&self.record, self.record()?)
            .with_context(|| format!("writing {}", self.record.display()))
    }

    /// Sends `GET` of this path and returns the response.
    ///
    /// # Errors
    /// No response within [`RESPONSE_TIMEOUT`].
    pub(crate) fn get(&self, path: &str) -> Result<Answer> {
        let mut connection = Connection::open((ADDRESS, self.port).into())?;
        connection.send(format!(
            "GET {path} HTTP/1.1\r\nhost: {ADDRESS}\r\nconnection: close\r\n\r\n"
        ))?;
        let answers = connection.readable_within(RESPONSE_TIMEOUT)?;
        ensure!(answers, "no response within {RESPONSE_TIMEOUT:?}");
        connection.answer()
    }

    /// Returns the content of the record file: the port, and a fingerprint of all settings.
    fn record(&self) -> Result<String> {
        let fingerprint = self.program.fingerprint()?;
        Ok(format!("{} {fingerprint:016x}\n", self.port))
    }
}

/// Returns the port that a service was last started on.
pub(crate) fn recorded_port(state: &State, name: &str) -> Option<u16> {
    let record = fs::read_to_string(record_path(state, name)).ok()?;
    record.split_whitespace().next()?.parse().ok()
}

pub(crate) fn record_path(state: &State, name: &str) -> PathBuf {
    state.folder().join(format!("{name}.started"))
}

/// Returns the executable beside this one, with the bench values and the caller's [`TUNABLE`] ones.
fn program(name: &str, port: u16) -> Result<Program> {
    let this = env::current_exe().context("looking for the executable's folder")?;
    let path = this.parent().unwrap_or(Path::new("/")).join(name);
    ensure!(
        path.is_file(),
        "{} is not built: run `cargo build --release -p upstream -p target-axum`",
        path.display()
    );
    let bench = schema::env::bench().map(|(name, value)| (name, value.into()));
    let tuned = TUNABLE
        .iter()
        .filter_map(|variable| Some((variable.name, env::var_os(variable.name)?)));
    let program = bench
        .chain(tuned)
        .fold(Program::new(path), |program, (name, value)| {
            program.variable(name, value)
        });
    Ok(program
        .variable(HOST.name, ADDRESS.to_string())
        .variable(PORT.name, port.to_string()))
}
