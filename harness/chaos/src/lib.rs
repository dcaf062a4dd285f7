//! Chaos: how does a contender behave while something goes wrong?
//!
//! A steady load asks all four scenarios, or an upstream for its product, and every answer is held
//! against the contract, while one fault after the other is brought about and ended. What came of
//! each is a row of the report.

mod census;
mod client;
mod clock;
mod crowd;
pub mod fault;
mod inject;
mod load;
mod proxy;
mod question;
pub mod report;
mod route;
pub mod row;
mod soak;
mod stage;
mod window;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use schema::{Profile, fixtures};

use self::crowd::Crowd;
use self::fault::{Fault, Kind, Need};
use self::inject::{Injected, inject};
use self::load::Load;
use self::proxy::Proxy;
use self::question::Questions;
use self::report::Report;
use self::route::{OF_UPSTREAM, of_contender};
use self::row::Row;
use self::soak::{Soak, soak};
use self::stage::{Process, Scene, Stage};
use self::window::{Window, latencies, quantile};
use conformance::database::{self, Database, Rows};
use conformance::upstream::RecordingUpstream;
use conformance::{Secrets, Target, random};
use testbed::aside::Aside;
use testbed::contender::{Contender, Surroundings};
use testbed::interrupt::Interrupt;
use testbed::port::lasting_port;
use testbed::postgres::TemporaryPostgres;

/// Users that have rows: each has another answer.
const USERS: usize = 200;

/// Time for the contender's pools and the load's connections before the first fault.
const WARMUP: Duration = Duration::from_secs(1);

/// An answer is prompt within this, or within ten times what was usual before the first fault,
/// whichever is longer: beyond it a service is not back at full speed.
const PROMPT: Duration = Duration::from_millis(250);

/// Descriptors of the harness that are neither the load's nor a crowd's.
const DESCRIPTORS_RESERVED: usize = 256;

/// What a run is made with.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is brought about, in this order.
    pub faults: Vec<Fault>,
    /// Requests in a second.
    pub rate: f64,
    /// Time that each fault lasts.
    pub duration: Duration,
    /// Time from the end of a fault until all must be well again.
    pub recovery: Duration,
}

/// A contender that runs already, and what is known of its surroundings.
pub struct There {
    pub target: Target,
    pub secrets: Secrets,
    /// Where the contender calls its upstream, which is then the harness's.
    pub upstream: Option<(IpAddr, u16)>,
    pub database_url: Option<String>,
}

/// Starts a contender with an upstream and a Postgres of the harness's own, or an upstream alone, and
/// brings the faults about. `progress` is told what comes next, and what came of it.
///
/// # Errors
/// The process was asked to end, the contender does not start, or the harness's own side broke.
pub fn run(
    contender: &Contender,
    options: &Options,
    interrupt: &Interrupt,
    progress: &mut dyn FnMut(&Fault, Option<&Row>),
) -> Result<Report> {
    let rows = on_stage(contender, options, interrupt, |stage| {
        bring_about(stage, options, progress)
    })?;
    let Contender { name, made_of, .. } = contender;
    Ok(Report::new(name, made_of, options, rows))
}

/// Starts a contender likewise, and soaks it as long as the options' duration says.
///
/// # Errors
/// As [`run`].
pub fn soak_contender(
    contender: &Contender,
    options: &Options,
    interrupt: &Interrupt,
    progress: &mut dyn FnMut(&Fault, Option<&Row>),
) -> Result<Soak> {
    on_stage(contender, options, interrupt, |stage| {
        soak(stage, &contender.name, options.duration, options, progress)
    })
}

/// What a contender depends on, each behind a proxy.
struct Dependencies {
    database: Database,
    postgres_proxy: Proxy,
    upstream_proxy: Proxy,
    upstream: RecordingUpstream,
}

impl Dependencies {
    fn start(aside: &Aside, secrets: &Secrets) -> Result<Self> {
        let localhost = Ipv4Addr::LOCALHOST.into();
        let upstream = RecordingUpstream::start(localhost, 0, &secrets.api_key)?;
        let postgres = TemporaryPostgres::start()?;
        Ok(Self {
            upstream_proxy: Proxy::start(aside, localhost, 0, upstream.address())?,
            upstream,
            postgres_proxy: Proxy::start(aside, localhost, 0, postgres.address())?,
            database: Database::of(postgres)?,
        })
    }
}

/// Starts a contender, and a load on it, with all of its surroundings in the harness's hands.
fn on_stage<T>(
    contender: &Contender,
    options: &Options,
    interrupt: &Interrupt,
    show: impl FnOnce(&mut Stage<'_>) -> Result<T>,
) -> Result<T> {
    contender.build(interrupt)?;
    let secrets = Secrets::bench();
    // Dropped in the opposite order: the contender before what it depends on.
    let aside = Aside::start("chaos")?;
    let (round, dependencies) = match contender.is_upstream() {
        true => (OF_UPSTREAM, None),
        false => (of_contender(), Some(Dependencies::start(&aside, &secrets)?)),
    };
    let dependencies = dependencies.as_ref();
    interrupt.check()?;
    let upstream_proxy = dependencies.map(|they| &they.upstream_proxy);
    let postgres_proxy = dependencies.map(|they| &they.postgres_proxy);
    let surroundings = Surroundings {
        upstream: upstream_proxy.map(Proxy::address),
        postgres_port: postgres_proxy.map(|proxy| proxy.address().port()),
        secrets: secrets.clone(),
        workers: None,
        cpus: None,
    };
    let upstream = dependencies.map(|they| they.upstream.turn());
    let database = dependencies.map(|they| they.database.turn());
    let (users, rows) = users(database.as_ref())?;
    let room = room();
    let port = match contender.own_port(false)? {
        Some(port) => port,
        None => lasting_port()?,
    };
    let running = contender.start_on(port, false, &surroundings, interrupt)?;
    let address = running.address;
    let there = (address.to_string(), String::new());
    let questions = Arc::new(Questions::new(round, there, secrets, users));
    let load = Load::start(Arc::clone(&questions), address, options.rate, room / 3)?;
    let mut stage = Stage::new(Scene {
        load,
        questions,
        aside: &aside,
        contender: Some(Process {
            contender,
            surroundings: &surroundings,
            running: Some(running),
        }),
        upstream: upstream.as_ref(),
        upstream_proxy,
        database: database.as_ref(),
        postgres_proxy,
        interrupt,
        room: room - room / 3,
        duration: options.duration,
    })?;
    let shown = show(&mut stage);
    drop(stage);
    drop(rows);
    shown
}

/// Brings the faults about that a contender which runs already can be shown.
///
/// # Errors
/// As [`run`].
pub fn run_there(
    url: &str,
    there: There,
    options: &Options,
    interrupt: &Interrupt,
    progress: &mut dyn FnMut(&Fault, Option<&Row>),
) -> Result<Report> {
    let There {
        target,
        secrets,
        upstream,
        database_url,
    } = there;
    let aside = Aside::start("chaos")?;
    let upstream = upstream.map(|(host, port)| -> Result<_> {
        let served = RecordingUpstream::start(Ipv4Addr::LOCALHOST.into(), 0, &secrets.api_key)?;
        let proxy = Proxy::start(&aside, host, port, served.address())?;
        Ok((served, proxy))
    });
    let upstream = upstream.transpose()?;
    let database = database_url.as_deref().map(Database::at).transpose()?;
    let turn = upstream.as_ref().map(|(served, _)| served.turn());
    let database = database.as_ref().map(Database::turn);
    let (users, rows) = users(database.as_ref())?;
    let address = target.address();
    let there = target.host_and_prefix();
    let questions = Arc::new(Questions::new(of_contender(), there, secrets, users));
    let room = room();
    let load = Load::start(Arc::clone(&questions), address, options.rate, room / 3)?;
    let mut stage = Stage::new(Scene {
        load,
        questions,
        aside: &aside,
        contender: None,
        upstream: turn.as_ref(),
        upstream_proxy: upstream.as_ref().map(|(_, proxy)| proxy),
        database: database.as_ref(),
        postgres_proxy: None,
        interrupt,
        room: room - room / 3,
        duration: options.duration,
    })?;
    let found = bring_about(&mut stage, options, progress);
    drop(stage);
    drop(rows);
    Ok(Report::new(url, "", options, found?))
}

/// Users that have rows, which are removed when the guard is dropped; the seed row's alone where the
/// database is not in the harness's hands.
fn users<'a>(database: Option<&'a database::Turn<'_>>) -> Result<(Vec<Profile>, Option<Rows<'a>>)> {
    let Some(database) = database else {
        return Ok((vec![fixtures::profile()], None));
    };
    let users: Vec<Profile> = (0..USERS).map(|_| random::profile()).collect();
    let rows = database.insert(&users)?;
    Ok((users, Some(rows)))
}

/// Descriptors for the load's connections and a crowd's: as many as the system lets this process
/// have.
fn room() -> usize {
    serve::connections_max()
        .saturating_sub(DESCRIPTORS_RESERVED)
        .max(3)
}

fn bring_about(
    stage: &mut Stage<'_>,
    options: &Options,
    progress: &mut dyn FnMut(&Fault, Option<&Row>),
) -> Result<Vec<Row>> {
    let (mut begin, prompt) = usual(stage)?;
    let mut rows = Vec::new();
    for fault in &options.faults {
        if let Some(why) = stage.cannot(fault) {
            rows.push(Row::not_applicable(fault, why));
            continue;
        }
        progress(fault, None);
        let row = one(stage, fault, &mut begin, options, prompt)
            .with_context(|| format!("while {} lasted", fault.slug))?;
        progress(fault, Some(&row));
        rows.push(row);
    }
    ensure!(!rows.is_empty(), "no fault was named");
    Ok(rows)
}

/// Waits until the load is warm: since when its requests count, and how long a prompt answer takes.
fn usual(stage: &mut Stage<'_>) -> Result<(Instant, Duration)> {
    stage.pause(WARMUP)?;
    // The first answers waited for connections, and for code to be compiled.
    let warm = Instant::now();
    stage.finish(warm)?;
    drop(stage.take(warm));
    stage.pause(WARMUP)?;
    let usual = quantile(&latencies(stage.records()), 0.99);
    let prompt = PROMPT.max(Duration::from_secs_f64(usual * 10.0 / 1e3));
    Ok((warm, prompt))
}

/// Brings one fault about, and watches until all is well again.
fn one(
    stage: &mut Stage<'_>,
    fault: &Fault,
    begin: &mut Instant,
    options: &Options,
    prompt: Duration,
) -> Result<Row> {
    let unsent = stage.scene.load.unsent();
    let notes = match inject(stage, fault.kind)? {
        Injected::Ended(notes) => notes,
        Injected::Cannot(why) => return Ok(Row::not_applicable(fault, why)),
    };
    let end = Instant::now();
    stage.recover(end, prompt)?;
    let until = Instant::now();
    stage.finish(until)?;
    let window = Window {
        begin: std::mem::replace(begin, until),
        end,
        until,
        recovery: options.recovery,
        prompt,
    };
    let records = stage.take(until);
    let mut row = Row::of(fault, window, &records, stage.scene.load.unsent() - unsent);
    row.notes = notes;
    row.held = stage.census.as_mut().map(census::Census::take);
    if row.counts.unsent > 0 {
        row.notes.push(format!(
            "{} requests were not sent: too many waited",
            row.counts.unsent
        ));
    }
    if let Some(died) = stage.died() {
        row.breaks_because(format!("the contender has ended: {died}"));
        stage.revive()?;
    }
    Ok(row)
}

impl Stage<'_> {
    fn has(&self, need: Need) -> bool {
        match need {
            Need::Process => self.scene.contender.is_some(),
            Need::Upstream => self.scene.upstream.is_some(),
            Need::Database => self.scene.database.is_some(),
            Need::DatabaseServer => self.scene.postgres_proxy.is_some(),
        }
    }

    /// Why this contender cannot be shown a fault, if it cannot.
    fn cannot(&self, fault: &Fault) -> Option<&'static str> {
        let process = self.scene.contender.as_ref();
        let is_upstream = process.is_some_and(|process| process.contender.is_upstream());
        let missing = fault.needs().filter(|need| !self.has(*need));
        if let Some(missing) = missing {
            return Some(match is_upstream {
                true => "an upstream depends on nothing",
                false => missing.missing(),
            });
        }
        if is_upstream && fault.kind == Kind::Clients(Crowd::SlowBodies) {
            return Some("an upstream is sent no bodies");
        }
        if fault.kind == Kind::Clock && clock::library().is_none() {
            return Some("libfaketime is missing: apt-get install libfaketime");
        }
        let has_own_port = process?.contender.own_port(false).ok().flatten().is_some();
        (matches!(fault.kind, Kind::Rolling | Kind::Clock) && has_own_port)
            .then_some("the contender listens on a port of its own: there can be no second one")
    }
}
