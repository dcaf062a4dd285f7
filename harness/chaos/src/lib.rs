//! Chaos: how a contender, or an upstream, behaves while something fails.
//!
//! A steady open loop sends all operations and every response is compared with the contract, while
//! one fault after the other is injected and removed. Each fault becomes one [`FaultResult`] of the
//! report. A soak does the same for hours and looks for growth.

mod experiment;
pub mod fault;
mod generator;
mod inject;
mod misbehaving;
mod monitor;
mod operation;
mod proxy;
pub mod report;
pub mod result;
mod soak;
mod steady_load;
mod timeline;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use conformance::database::{self, Database, Rows};
use conformance::upstream::RecordingUpstream;
use conformance::{Secrets, Target, random};
use schema::{Profile, fixtures};
use testbed::contender::{Contender, Environment};
use testbed::interrupt::Interrupt;
use testbed::port::lasting_port;
use testbed::postgres::TemporaryPostgres;
use tokio::runtime::{Builder, Runtime};

use crate::experiment::{Controls, Experiment, Process};
use crate::fault::Fault;
use crate::generator::Generator;
use crate::operation::{UPSTREAM_CYCLE, contender_cycle};
use crate::proxy::Proxy;
use crate::report::Report;
use crate::result::FaultResult;
use crate::steady_load::SteadyLoad;

pub use crate::soak::Soak;

/// Users with rows in the database: the responses differ.
const USERS: usize = 200;

/// File descriptors of the harness that neither the load nor misbehaving clients may use.
const DESCRIPTORS_RESERVED: usize = 256;

/// The options of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The faults, in order.
    pub faults: Vec<Fault>,
    /// Requests per second.
    pub rate: f64,
    /// Duration of each fault.
    pub duration: Duration,
    /// Longest allowed time from the end of a fault to full recovery.
    pub recovery: Duration,
}

/// The service that faults are injected around.
pub enum Subject<'a> {
    /// A contender or an upstream that the harness starts.
    Started(&'a Contender),
    /// A contender that already runs.
    External(External),
}

/// A contender that already runs, and the known parts of its environment.
pub struct External {
    pub url: String,
    pub target: Target,
    pub secrets: Secrets,
    /// Address at which the contender expects its upstream; the harness serves it.
    pub upstream: Option<(IpAddr, u16)>,
    pub database_url: Option<String>,
}

/// Is called with each fault before it is injected, and again with its result.
pub type Progress<'a> = dyn FnMut(&Fault, Option<&FaultResult>) + 'a;

/// Injects the faults one after the other.
///
/// # Errors
/// The run was interrupted, the contender does not start, or the harness itself failed.
pub fn run(
    subject: &Subject<'_>,
    options: &Options,
    interrupt: &Interrupt,
    progress: &mut Progress<'_>,
) -> Result<Report> {
    let (name, made_of) = match subject {
        Subject::Started(contender) => (contender.name.clone(), contender.made_of.clone()),
        Subject::External(external) => (external.url.clone(), String::new()),
    };
    let results = with_experiment(subject, options, interrupt, |experiment| {
        experiment.inject_all(options, progress)
    })?;
    Ok(Report::new(name, made_of, options, results))
}

/// Soaks a contender for the options' duration.
///
/// # Errors
/// See [`run`].
pub fn soak(
    contender: &Contender,
    options: &Options,
    interrupt: &Interrupt,
    progress: &mut Progress<'_>,
) -> Result<Soak> {
    with_experiment(
        &Subject::Started(contender),
        options,
        interrupt,
        |experiment| soak::soak(experiment, &contender.name, options, progress),
    )
}

/// The dependencies of a contender that the harness controls.
#[derive(Default)]
struct Dependencies {
    upstream: Option<RecordingUpstream>,
    upstream_proxy: Option<Proxy>,
    database: Option<Database>,
    postgres_proxy: Option<Proxy>,
}

impl Dependencies {
    /// Starts those that the subject needs and the harness may control.
    fn start(subject: &Subject<'_>, background: &Runtime, secrets: &Secrets) -> Result<Self> {
        let localhost: IpAddr = Ipv4Addr::LOCALHOST.into();
        let with_upstream = |host, port| -> Result<Self> {
            let upstream = RecordingUpstream::start(localhost, 0, &secrets.api_key)?;
            let proxy = Proxy::start(background, host, port, upstream.address())?;
            Ok(Self {
                upstream: Some(upstream),
                upstream_proxy: Some(proxy),
                ..Self::default()
            })
        };
        match subject {
            Subject::Started(contender) if contender.is_upstream() => Ok(Self::default()),
            Subject::Started(_) => {
                let postgres = TemporaryPostgres::start()?;
                let proxy = Proxy::start(background, localhost, 0, postgres.address())?;
                Ok(Self {
                    postgres_proxy: Some(proxy),
                    database: Some(Database::of(postgres)?),
                    ..with_upstream(localhost, 0)?
                })
            }
            Subject::External(external) => {
                let database = external.database_url.as_deref().map(Database::at);
                let upstream = external
                    .upstream
                    .map(|(host, port)| with_upstream(host, port));
                Ok(Self {
                    database: database.transpose()?,
                    ..upstream.transpose()?.unwrap_or_default()
                })
            }
        }
    }
}

/// Starts the subject with its dependencies and a load on it.
fn with_experiment<T>(
    subject: &Subject<'_>,
    options: &Options,
    interrupt: &Interrupt,
    body: impl FnOnce(&mut Experiment<'_>) -> Result<T>,
) -> Result<T> {
    if let Subject::Started(contender) = subject {
        contender.build(interrupt)?;
    }
    let secrets = match subject {
        Subject::Started(_) => Secrets::bench(),
        Subject::External(external) => external.secrets.clone(),
    };
    // Dropped in reverse order: the contender before its dependencies.
    let background = background("chaos")?;
    let dependencies = Dependencies::start(subject, &background, &secrets)?;
    interrupt.check()?;
    let upstream_proxy = dependencies.upstream_proxy.as_ref();
    let postgres_proxy = dependencies.postgres_proxy.as_ref();
    let environment = Environment {
        upstream: upstream_proxy.map(Proxy::address),
        postgres_port: postgres_proxy.map(|proxy| proxy.address().port()),
        secrets: secrets.clone(),
        workers: None,
        cpus: None,
    };
    let upstream = dependencies.upstream.as_ref().map(RecordingUpstream::lock);
    let database = dependencies.database.as_ref().map(Database::lock);
    let (users, rows) = insert_users(database.as_ref())?;
    let (process, address, host_and_prefix) = match subject {
        Subject::Started(contender) => {
            let port = match contender.own_port(false)? {
                Some(port) => port,
                None => lasting_port()?,
            };
            let running = contender.start_on(port, false, &environment, interrupt)?;
            let address = running.address;
            let process = Process {
                contender,
                environment: &environment,
                running: Some(running),
            };
            (Some(process), address, (address.to_string(), String::new()))
        }
        Subject::External(External { target, .. }) => {
            (None, target.address(), target.host_and_prefix())
        }
    };
    let is_upstream = process
        .as_ref()
        .is_some_and(|process| process.contender.is_upstream());
    let cycle = match is_upstream {
        true => UPSTREAM_CYCLE,
        false => contender_cycle(),
    };
    let generator = Arc::new(Generator::new(cycle, host_and_prefix, secrets, users));
    let connections = connections_max();
    let load_connections = connections / 3;
    let load = SteadyLoad::start(
        Arc::clone(&generator),
        address,
        options.rate,
        load_connections,
    )?;
    let mut experiment = Experiment::new(Controls {
        load,
        generator,
        background: &background,
        process,
        upstream: upstream.as_ref(),
        upstream_proxy,
        database: database.as_ref(),
        postgres_proxy,
        interrupt,
        misbehaving_max: connections - load_connections,
        duration: options.duration,
    })?;
    let outcome = body(&mut experiment);
    drop(experiment);
    drop(rows);
    outcome
}

/// Starts a runtime in a thread of this name; dropping it ends its tasks.
fn background(name: &str) -> Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    let builder = builder.worker_threads(1).thread_name(name).enable_all();
    builder.build().context("starting a runtime")
}

/// Inserts users whose rows are removed when the guard is dropped; without access to the database
/// there is only the seed row's user.
fn insert_users<'a>(
    database: Option<&'a database::Guard<'_>>,
) -> Result<(Vec<Profile>, Option<Rows<'a>>)> {
    let Some(database) = database else {
        return Ok((vec![fixtures::profile()], None));
    };
    let users: Vec<Profile> = (0..USERS).map(|_| random::profile()).collect();
    let rows = database.insert(&users)?;
    Ok((users, Some(rows)))
}

/// Returns how many connections this process may open.
fn connections_max() -> usize {
    serve::connections_max()
        .saturating_sub(DESCRIPTORS_RESERVED)
        .max(3)
}
