//! A contender that runs with an upstream and a Postgres of the harness's own.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result};
use schema::{Profile, fixtures, routes};

use super::{Bench, External, OwnSide, now};
use crate::bottleneck::{bottleneck, is_remembered, warnings};
use crate::engine::builtin::Builtin;
use crate::engine::{Engine, Load};
use crate::input::{Composer, Request, Requests, Variety};
use crate::process_group::ProcessGroup;
use crate::record::{Attempt, Bottleneck, LoadModel, Plan};
use crate::sampler::{Sampler, Scene};
use crate::scenario::Scenario;
use crate::schedule::Step;
use conformance::upstream::{self, Counting};
use conformance::{Database, RecordingUpstream, Secrets, Subject, Target};
use testbed::contender::{Contender, Environment, Running};
use testbed::postgres::TemporaryPostgres;
use testbed::raw::Connection;

/// Time of the loads that find out if a contender remembers requests.
const REPEATED_TIME: Duration = Duration::from_secs(1);

/// A running contender. Its fields are dropped in their order: the contender before its backends.
pub(super) struct Trial {
    /// None if it was not started by the harness.
    pub(super) running: Option<Running>,
    pub(super) subject: Arc<Subject>,
    target: Target,
    scene: Scene,
    /// Time from the start of the contender to its first answer; none if it runs already.
    pub(super) ready: Option<Duration>,
}

impl Trial {
    /// Starts a contender and its backends.
    ///
    /// # Errors
    /// The contender does not start, or with [`OwnSide`] a backend.
    pub(super) fn start(bench: &Bench<'_>, contender: &Contender, plan: &Plan) -> Result<Self> {
        if let Some(external) = bench.external {
            return Self::external(external, plan);
        }
        let secrets = Secrets::bench();
        let localhost = Ipv4Addr::LOCALHOST.into();
        let (upstream, upstream_group) = start_upstream(localhost, 0, &secrets).context(OwnSide)?;
        let postgres = TemporaryPostgres::start().context(OwnSide)?;
        let postgres_root = postgres.root().context("Postgres does not run")?;
        let environment = Environment {
            upstream: Some(upstream.address()),
            postgres_port: Some(postgres.port()),
            secrets: secrets.clone(),
            // The ceiling has a single thread.
            workers: Some(if contender.is_ceiling() {
                1
            } else {
                plan.workers
            }),
            cpus: Some(bench.cpus.clone()),
        };
        let planned = plan.contenders.iter();
        let mut planned = planned.filter(|planned| planned.name == contender.name);
        let in_container = planned.next().is_some_and(|planned| planned.in_container);
        let begin = Instant::now();
        let running = contender.start(in_container, &environment, bench.interrupt)?;
        let ready = begin.elapsed();
        let scene = Scene {
            contender: ProcessGroup::of_process(running.root()?),
            upstream: upstream_group,
            postgres: ProcessGroup::of_process(postgres_root),
            contender_cpus: plan.contender_cpus.clone(),
            other_cpus: plan.other_cpus.clone(),
        };
        let database = Database::of(postgres)?;
        let target = Target::local(running.address);
        let subject = Subject::new(target.clone(), secrets, Some(upstream), Some(database));
        Ok(Self {
            running: Some(running),
            subject: Arc::new(subject),
            target,
            scene,
            ready: Some(ready),
        })
    }

    /// Connects to a contender that runs already.
    fn external(external: &External, plan: &Plan) -> Result<Self> {
        let External {
            target,
            pid,
            secrets,
            ..
        } = external;
        let upstream = external.upstream;
        let upstream = upstream.map(|(host, port)| start_upstream(host, port, secrets));
        let database = external.database_url.as_deref().map(Database::at);
        let upstream = upstream.transpose().context(OwnSide)?;
        let (upstream, upstream_group) = upstream.unzip();
        let none = || ProcessGroup::of_threads(&[]);
        let subject = Subject::new(
            target.clone(),
            secrets.clone(),
            upstream,
            database.transpose().context(OwnSide)?,
        );
        Ok(Self {
            running: None,
            subject: Arc::new(subject),
            target: target.clone(),
            scene: Scene {
                contender: pid.map_or_else(none, ProcessGroup::of_process),
                upstream: upstream_group.unwrap_or_else(none),
                postgres: none(),
                contender_cpus: plan.contender_cpus.clone(),
                other_cpus: plan.other_cpus.clone(),
            },
            ready: None,
        })
    }

    /// Measures one load of these users, who have rows.
    ///
    /// # Errors
    /// Those of the engine.
    pub(super) fn measure(
        &self,
        bench: &Bench<'_>,
        contender: &Contender,
        round: u32,
        step: Step,
        users: &[Profile],
        plan: &Plan,
    ) -> Result<Attempt> {
        // The ceiling knows a single request.
        let fixture = [fixtures::profile()];
        let (variety, users) = match step.load_model {
            _ if contender.is_ceiling() => (Variety::Fixture, &fixture[..]),
            LoadModel::Invalid(share) => (Variety::Invalid(share), users),
            LoadModel::Closed | LoadModel::Open(_) => (Variety::Unique, users),
        };
        let load = Load {
            requests: self.requests(step.scenario, users, variety),
            connections: plan.connections,
            threads: plan.generator_threads(),
            load_model: step.load_model,
            warmup: Duration::from_secs_f64(plan.warmup_secs),
            duration: Duration::from_secs_f64(plan.duration_secs),
        };
        let upstream = self.subject.upstream().ok();
        let upstream = upstream.map(upstream::Guard::count_only);
        let count = || upstream.as_ref().map(Counting::count);
        let mut sampler = Sampler::new(self.scene.clone(), bench.interrupt);
        let started_at = now();
        let (begin, before) = (Instant::now(), count());
        let mut measured = bench.engine.run(&load, &mut sampler)?;
        let counts = before.zip(count());
        let mut usage = sampler.usage();
        if let Some(((calls, busy), (calls_after, busy_after))) = counts
            && step.scenario == Scenario::Catalog
        {
            usage.served = Some(calls_after - calls);
            let busy = (busy_after - busy).as_secs_f64();
            usage.upstream_in_flight = Some(busy / begin.elapsed().as_secs_f64());
        }
        let may_remember = step.scenario.has_token() && step.load_model == LoadModel::Closed;
        let repeated_cost = match may_remember && variety == Variety::Unique {
            true => self.repeated_cost(&load, bench, &mut measured.answers_in_all)?,
            false => None,
        };
        let mut attempt = Attempt {
            contender: contender.name.clone(),
            scenario: step.scenario,
            round,
            load_model: step.load_model,
            started_at,
            measured,
            usage,
            bottleneck: Bottleneck::Waiting,
            repeated_cost,
            warnings: Vec::new(),
        };
        attempt.bottleneck = bottleneck(&attempt, plan);
        attempt.warnings = warnings(&attempt, plan);
        Ok(attempt)
    }

    fn requests<'a>(
        &'a self,
        scenario: Scenario,
        users: &'a [Profile],
        variety: Variety,
    ) -> Requests<'a> {
        Requests {
            scenario,
            target: &self.target,
            users,
            secret: &self.subject.secrets.jwt_secret,
            variety,
        }
    }

    /// Measures the CPU time per request of repeated requests as a share of that of unique ones, with the
    /// builtin engine. A share that shows a memory is measured twice. Adds the answers to `answers`.
    fn repeated_cost(
        &self,
        load: &Load<'_>,
        bench: &Bench<'_>,
        answers: &mut u64,
    ) -> Result<Option<f64>> {
        let mut cost = |variety| {
            let load = Load {
                requests: Requests {
                    variety,
                    ..load.requests
                },
                warmup: Duration::ZERO,
                duration: load.duration.min(REPEATED_TIME),
                ..*load
            };
            let mut sampler = Sampler::new(self.scene.clone(), bench.interrupt);
            let measured = Builtin.run(&load, &mut sampler)?;
            *answers += measured.answers_in_all;
            let cpu_secs = sampler.usage().contender.cpu_secs;
            Ok::<_, Error>(cpu_secs / measured.requests as f64)
        };
        let mut share = || -> Result<f64> {
            let unique = cost(Variety::Unique)?;
            Ok(cost(Variety::Repeated)? / unique)
        };
        let first = share()?;
        let share = match is_remembered(first) {
            true => first.max(share()?),
            false => first,
        };
        Ok(Some(share).filter(|share| share.is_finite()))
    }

    /// Returns the times of the first request of each scenario, in milliseconds; of those that are
    /// answered.
    pub(super) fn first_requests(&self, plan: &Plan) -> BTreeMap<Scenario, f64> {
        let users = [fixtures::profile()];
        let time = |scenario: &Scenario| {
            let requests = self.requests(*scenario, &users, Variety::Fixture);
            let mut request = Request::default();
            Composer::new(requests).compose(&mut request);
            let begin = Instant::now();
            let mut connection = Connection::open(self.target.address()).ok()?;
            connection.ask(&request.bytes).ok()?;
            Some((*scenario, begin.elapsed().as_secs_f64() * 1e3))
        };
        plan.scenarios.iter().filter_map(time).collect()
    }
}

/// Starts an upstream and returns its threads.
fn start_upstream(
    host: IpAddr,
    port: u16,
    secrets: &Secrets,
) -> Result<(RecordingUpstream, ProcessGroup)> {
    ProcessGroup::started_by(|| {
        let upstream = RecordingUpstream::start(host, port, &secrets.api_key)?;
        // All of its threads exist once it has answered.
        let mut connection = Connection::open(upstream.address())?;
        let request = format!("GET {} HTTP/1.1\r\nHost: upstream\r\n\r\n", routes::HEALTH);
        connection.ask(request)?;
        Ok(upstream)
    })
}
