//! Contenders: their definitions, how they start and stop, and the files that list them.

mod api_benchmarks;
mod build;
mod choice;
mod container;
mod definition;
mod log;
mod native;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal};
use schema::env::{
    DB_HOST, DB_PORT, HOST, JWT_SECRET, PORT, UPSTREAM_API_KEY, UPSTREAM_URL, WORKERS,
};
use serde::{Deserialize, Serialize};

use crate::cpus::Cpus;
use crate::interrupt::Interrupt;
use crate::level::Level;
use crate::port::{free_port, must_be_free};
use crate::raw::Connection;
use crate::secrets::Secrets;

pub use choice::choose;
pub use definition::{FILE, contenders_of, read};

/// Time from its start to its first response; a runtime may compile and a pool may connect first.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Time for one attempt to get a response.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Time for a response after a load: longer than any deadline of the contract.
const AFTER_LOAD_TIMEOUT: Duration = Duration::from_secs(10);

/// A service that claims to keep the contract.
#[derive(Clone, Debug)]
pub struct Contender {
    pub name: String,
    /// Language and framework with versions, such as `Rust 1.95, axum 0.8`.
    pub made_of: String,
    pub category: Category,
    /// The level that it promises.
    pub promises: Level,
    /// Its declared deviations: the slug or pattern of the checks, and the reason.
    pub deviations: BTreeMap<String, String>,
    /// Variables in addition to those of the contract.
    pub variables: BTreeMap<String, String>,
    pub native: Option<Native>,
    pub container: Option<Container>,
}

/// The rules that a contender was written by, which tables show.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Written as the documentation of its framework shows.
    #[default]
    Standard,
    /// With optimisations beyond that.
    Tuned,
    /// No contender: it does no work, fails checks by design, and all others are a fraction of it.
    Ceiling,
    /// No contender: it serves the product and depends on nothing.
    Upstream,
}

impl Category {
    /// Returns the name in definitions and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Tuned => "tuned",
            Self::Ceiling => "ceiling",
            Self::Upstream => "upstream",
        }
    }
}

/// The way that it starts as a process of this machine.
#[derive(Clone, Debug)]
pub struct Native {
    /// Programs that `build` and `command` need, and how to install each.
    pub needs: BTreeMap<String, String>,
    /// Command line that builds what `command` needs and does not exist yet.
    pub build: Option<String>,
    /// Command line that starts it and stays while it runs.
    pub command: String,
    /// Folder of both.
    pub folder: PathBuf,
    /// Folder of the file that lists it, for `build`.
    pub listed_in: PathBuf,
    /// Port that it listens on, if it does not read `PORT`.
    pub port: Option<u16>,
}

/// The way that it starts in a container: as one service of these Compose files.
#[derive(Clone, Debug)]
pub struct Container {
    pub files: Vec<PathBuf>,
    pub service: String,
    /// Port that it listens on, if it does not read `PORT`.
    pub port: Option<u16>,
}

/// The dependencies, secrets and CPUs that a contender starts with.
#[derive(Clone)]
pub struct Environment {
    /// None if it does not depend on it, like `postgres_port`.
    pub upstream: Option<SocketAddr>,
    pub postgres_port: Option<u16>,
    pub secrets: Secrets,
    /// Number of worker threads or processes; its own default if none.
    pub workers: Option<usize>,
    /// CPUs that it runs on; all if none.
    pub cpus: Option<Cpus>,
}

/// A running contender; it is stopped when this is dropped.
#[derive(Debug)]
pub struct Running {
    pub address: SocketAddr,
    process: Process,
}

#[derive(Debug)]
enum Process {
    Native(native::Process),
    Container(container::Process),
}

impl Contender {
    /// Creates one of which only the name and its framework are known.
    pub fn named(name: &str, made_of: &str) -> Self {
        Self {
            name: name.to_owned(),
            made_of: made_of.to_owned(),
            category: Category::Standard,
            promises: Level::Work,
            deviations: BTreeMap::new(),
            variables: BTreeMap::new(),
            native: None,
            container: None,
        }
    }

    /// Returns true if it is the ceiling.
    pub fn is_ceiling(&self) -> bool {
        self.category == Category::Ceiling
    }

    /// Returns true if it is an upstream.
    pub fn is_upstream(&self) -> bool {
        self.category == Category::Upstream
    }

    /// Returns true if its definition says how it starts, in a container or as a process.
    pub fn can_start(&self, in_container: bool) -> bool {
        match in_container {
            true => self.container.is_some(),
            false => self.native.is_some(),
        }
    }

    /// Runs its build, with its output on standard error.
    ///
    /// # Errors
    /// It has no command, a program that it needs is missing, or its build fails.
    pub fn build(&self, interrupt: &Interrupt) -> Result<()> {
        let how = self.natively()?;
        if let Some(build) = &how.build {
            eprintln!("$ {build}");
        }
        how.build(interrupt)
    }

    /// Starts it, as a process, which was built, or in a container, and waits until it responds.
    ///
    /// # Errors
    /// It cannot be started, or does not respond in time; the error shows the end of its log. Nothing is
    /// left running.
    pub fn start(
        &self,
        in_container: bool,
        environment: &Environment,
        interrupt: &Interrupt,
    ) -> Result<Running> {
        let port = match self.own_port(in_container)? {
            Some(port) => {
                must_be_free(port, PORT.name)
                    .with_context(|| format!("{} listens on a port of its own", self.name))?;
                port
            }
            None => free_port()?,
        };
        self.start_on(port, in_container, environment, interrupt)
    }

    /// Returns the port that it listens on, if it does not read `PORT`.
    ///
    /// # Errors
    /// Its definition does not say how it starts.
    pub fn own_port(&self, in_container: bool) -> Result<Option<u16>> {
        Ok(match in_container {
            true => self.in_container()?.port,
            false => self.natively()?.port,
        })
    }

    /// Does the same as [`Contender::start`], on this free port.
    ///
    /// # Errors
    /// The same as of [`Contender::start`].
    pub fn start_on(
        &self,
        port: u16,
        in_container: bool,
        environment: &Environment,
        interrupt: &Interrupt,
    ) -> Result<Running> {
        let variables = self.variables_in(environment, port);
        let cpus = environment.cpus.as_ref();
        let process = if in_container {
            let how = self.in_container()?;
            let started = container::Process::start(how, &variables, cpus, interrupt);
            Process::Container(started?)
        } else {
            let how = self.natively()?;
            Process::Native(native::Process::start(how, &variables, cpus)?)
        };
        let running = Running {
            address: (Ipv4Addr::LOCALHOST, port).into(),
            process,
        };
        running.wait_until_it_answers(&self.name, interrupt)?;
        Ok(running)
    }

    /// Returns the way that it starts as a process.
    ///
    /// # Errors
    /// It has no command.
    pub fn natively(&self) -> Result<&Native> {
        let how = self.native.as_ref();
        how.with_context(|| {
            format!(
                "{} has no command: set one by --command, or use --containers",
                self.name
            )
        })
    }

    fn in_container(&self) -> Result<&Container> {
        let how = self.container.as_ref();
        how.with_context(|| format!("{} has no Compose service", self.name))
    }

    /// Returns its variables; those of the contract win over its own.
    fn variables_in(&self, environment: &Environment, port: u16) -> BTreeMap<String, String> {
        let Environment {
            upstream,
            postgres_port,
            secrets,
            workers,
            cpus: _,
        } = environment;
        let bench = schema::env::bench().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let ours = [
            (HOST.name, Ipv4Addr::LOCALHOST.to_string()),
            (PORT.name, port.to_string()),
            (JWT_SECRET.name, secrets.jwt_secret.clone()),
            (UPSTREAM_API_KEY.name, secrets.api_key.clone()),
            (DB_HOST.name, Ipv4Addr::LOCALHOST.to_string()),
        ];
        let upstream = upstream.map(|address| (UPSTREAM_URL.name, format!("http://{address}")));
        let postgres = postgres_port.map(|port| (DB_PORT.name, port.to_string()));
        let workers = workers.map(|workers| (WORKERS.name, workers.to_string()));
        let ours = ours
            .into_iter()
            .chain(upstream)
            .chain(postgres)
            .chain(workers);
        let ours = ours.map(|(name, value)| (name.to_owned(), value));
        let own = self.variables.clone().into_iter();
        own.chain(bench).chain(ours).collect()
    }
}

impl Running {
    /// Returns the process that all processes of the contender descend from.
    ///
    /// # Errors
    /// Docker does not respond.
    pub fn root(&self) -> Result<Pid> {
        match &self.process {
            Process::Native(native) => Ok(native.process.pid()),
            Process::Container(process) => process.root(),
        }
    }

    /// Sends a signal to its process group.
    ///
    /// # Errors
    /// It runs in a container, or has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        match &self.process {
            Process::Native(native) => native.process.signal(signal),
            Process::Container(_) => bail!("signals are not sent to a container"),
        }
    }

    /// Fails if it has ended.
    ///
    /// # Errors
    /// It has ended; the error shows the end of its log.
    pub fn must_run(&self) -> Result<()> {
        self.ended()?.map_or(Ok(()), Err)
    }

    /// Fails if it does not respond.
    ///
    /// # Errors
    /// It does not respond; the error shows the end of its log.
    pub fn must_answer(&self) -> Result<()> {
        ensure!(
            answers_within(AFTER_LOAD_TIMEOUT, self.address),
            "the contender does not answer any more: no GET /info within {AFTER_LOAD_TIMEOUT:?} after \
             its load\n{}",
            self.log()
        );
        Ok(())
    }

    fn wait_until_it_answers(&self, name: &str, interrupt: &Interrupt) -> Result<()> {
        let answered = interrupt.wait(START_TIMEOUT, || {
            if let Some(ended) = self.ended()? {
                return Err(ended);
            }
            Ok(answers_within(ANSWER_TIMEOUT, self.address).then_some(()))
        })?;
        if answered.is_none() {
            bail!(
                "{name} does not answer GET /info on {} after {START_TIMEOUT:?}\n{}",
                self.address,
                self.log()
            );
        }
        Ok(())
    }

    fn ended(&self) -> Result<Option<anyhow::Error>> {
        match &self.process {
            Process::Native(process) => process.ended(),
            Process::Container(process) => process.ended(),
        }
    }

    fn log(&self) -> String {
        match &self.process {
            Process::Native(native) => native.process.tail(),
            Process::Container(process) => process.log(),
        }
    }
}

/// Returns true if `GET /info` gets any response.
fn answers_within(time: Duration, address: SocketAddr) -> bool {
    let ask = || {
        let mut connection = Connection::open_within(address, time)?.within(time);
        connection.ask(format!(
            "GET {} HTTP/1.1\r\nHost: {address}\r\n\r\n",
            schema::routes::INFO
        ))
    };
    ask().is_ok()
}
