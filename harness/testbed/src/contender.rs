//! Contenders: what is known of each, how it is started, and where they are listed.

mod api_benchmarks;
mod build;
mod choice;
mod container;
mod log;
mod native;
mod stanza;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal};
use schema::env::{
    DB_HOST, DB_PORT, HOST, JWT_SECRET, PORT, UPSTREAM_API_KEY, UPSTREAM_URL, WORKERS,
};
use serde::Deserialize;

use crate::cpus::Cpus;
use crate::interrupt::Interrupt;
use crate::level::Level;
use crate::port::{free_port, must_be_free};
use crate::raw::Connection;
use crate::secrets::Secrets;

pub use choice::choose;
pub use stanza::contenders_of;
pub use stanza::{FILE, read};

/// Time from its start to its first answer, whatever a runtime compiles or a pool opens first.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Time for one look whether it answers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Time for an answer once a load has ended: longer than any deadline of the contract.
const AFTER_LOAD_TIMEOUT: Duration = Duration::from_secs(10);

/// A service that claims to keep the contract.
#[derive(Clone, Debug)]
pub struct Contender {
    pub name: String,
    /// Language and framework with versions, such as `Rust 1.95, axum 0.8`.
    pub made_of: String,
    /// What it is, if no contender.
    pub kind: Option<Kind>,
    /// The level that it promises.
    pub promises: Level,
    /// What it deviates from on purpose: slug or pattern, and why.
    pub deviations: BTreeMap<String, String>,
    /// Variables beside the contract's.
    pub environment: BTreeMap<String, String>,
    pub native: Option<Native>,
    pub container: Option<Container>,
}

/// What is started and asked as contenders are, and is none.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The physical limit, which fails checks by design.
    Limit,
    /// An upstream, which serves the product and depends on nothing.
    Upstream,
}

/// How it starts as a process of this machine.
#[derive(Clone, Debug)]
pub struct Native {
    /// Programs that `build` and `command` need, and how to get each.
    pub needs: BTreeMap<String, String>,
    /// Command line that makes what `command` needs and is not there yet, run first.
    pub build: Option<String>,
    /// Command line that starts it and stays while it runs.
    pub command: String,
    /// Folder of both.
    pub folder: PathBuf,
    /// Folder of the file that lists it; `build` is told it.
    pub listed_in: PathBuf,
    /// Port that it listens on, if it does not read `PORT`.
    pub port: Option<u16>,
}

/// How it starts in a container: as one service of these Compose files.
#[derive(Clone, Debug)]
pub struct Container {
    pub files: Vec<PathBuf>,
    pub service: String,
    /// Port that it listens on, if it does not read `PORT`.
    pub port: Option<u16>,
}

/// What a contender is told of its surroundings.
#[derive(Clone)]
pub struct Surroundings {
    /// None if it depends on none, as for the next.
    pub upstream: Option<SocketAddr>,
    pub postgres_port: Option<u16>,
    pub secrets: Secrets,
    /// Worker threads or processes that it is asked to have; its own default if not said.
    pub workers: Option<usize>,
    /// Processors that it runs on; all if not said.
    pub cpus: Option<Cpus>,
}

/// A contender that runs; it is stopped when this is dropped.
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
    /// Whether it is the physical limit.
    pub fn is_limit(&self) -> bool {
        self.kind == Some(Kind::Limit)
    }

    /// Whether it is an upstream.
    pub fn is_upstream(&self) -> bool {
        self.kind == Some(Kind::Upstream)
    }

    /// Whether it says how it starts as a process, or in a container.
    pub fn can_start(&self, in_container: bool) -> bool {
        match in_container {
            true => self.container.is_some(),
            false => self.native.is_some(),
        }
    }

    /// Runs its build, which says what it does on standard error: before its starts, not in them.
    ///
    /// # Errors
    /// It says no command, lacks what it needs, or its build fails.
    pub fn build(&self, interrupt: &Interrupt) -> Result<()> {
        let how = self.natively()?;
        if let Some(build) = &how.build {
            eprintln!("$ {build}");
        }
        how.build(interrupt)
    }

    /// Starts it, as a process or in a container, and waits until it answers. What starts as a
    /// process was built.
    ///
    /// # Errors
    /// It cannot be started, or does not answer in time; the error shows the end of its
    /// log. Nothing is left running.
    pub fn start(
        &self,
        in_container: bool,
        surroundings: &Surroundings,
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
        self.start_on(port, in_container, surroundings, interrupt)
    }

    /// The port that it listens on, if it does not read `PORT`.
    ///
    /// # Errors
    /// It does not say how it starts.
    pub fn own_port(&self, in_container: bool) -> Result<Option<u16>> {
        Ok(match in_container {
            true => self.in_container()?.port,
            false => self.natively()?.port,
        })
    }

    /// As [`Contender::start`], on this port, which is free.
    ///
    /// # Errors
    /// As [`Contender::start`].
    pub fn start_on(
        &self,
        port: u16,
        in_container: bool,
        surroundings: &Surroundings,
        interrupt: &Interrupt,
    ) -> Result<Running> {
        let environment = self.environment(port, surroundings);
        let cpus = surroundings.cpus.as_ref();
        let process = if in_container {
            let how = self.in_container()?;
            let started = container::Process::start(how, &environment, cpus, interrupt);
            Process::Container(started?)
        } else {
            let how = self.natively()?;
            Process::Native(native::Process::start(how, &environment, cpus)?)
        };
        let running = Running {
            address: (Ipv4Addr::LOCALHOST, port).into(),
            process,
        };
        running.wait_until_it_answers(&self.name, interrupt)?;
        Ok(running)
    }

    /// How it starts as a process.
    ///
    /// # Errors
    /// It does not say.
    pub fn natively(&self) -> Result<&Native> {
        let how = self.native.as_ref();
        how.with_context(|| {
            format!(
                "{} says no command: give one by --command, or use --containers",
                self.name
            )
        })
    }

    fn in_container(&self) -> Result<&Container> {
        let how = self.container.as_ref();
        how.with_context(|| format!("{} says no Compose service", self.name))
    }

    /// The contract's variables, then its own.
    fn environment(&self, port: u16, surroundings: &Surroundings) -> BTreeMap<String, String> {
        let Surroundings {
            upstream,
            postgres_port,
            secrets,
            workers,
            cpus: _,
        } = surroundings;
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
        let own = self.environment.clone().into_iter();
        own.chain(bench).chain(ours).collect()
    }
}

impl Running {
    /// The process that all of the contender descends from.
    ///
    /// # Errors
    /// Docker cannot be asked.
    pub fn root(&self) -> Result<Pid> {
        match &self.process {
            Process::Native(process) => Ok(process.root()),
            Process::Container(process) => process.root(),
        }
    }

    /// Sends a signal to all of it.
    ///
    /// # Errors
    /// It runs in a container, or is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        match &self.process {
            Process::Native(process) => process.signal(signal),
            Process::Container(_) => bail!("a container is not signalled"),
        }
    }

    /// Fails if it runs no more, with the end of its log.
    ///
    /// # Errors
    /// As said.
    pub fn must_run(&self) -> Result<()> {
        self.ended()?.map_or(Ok(()), Err)
    }

    /// Fails if it runs but answers no more, with the end of its log.
    ///
    /// # Errors
    /// As said.
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
            Process::Native(process) => process.log(),
            Process::Container(process) => process.log(),
        }
    }
}

/// Whether anything is answered to `GET /info`, whatever it is.
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
