//! Compares the engines on our own target: what a request costs the contender and the engine, and
//! the latencies that they tell.
//!
//! Needs the services built for release and `taskset`; `acceptance/engines` runs it. Arguments:
//! connections, seconds, rounds, then engines: `own` is a closed loop of ours, `own@k6` an open one
//! at the rate that k6 has just had, `own@own/2` one at half of our own.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use harness::bench::engine::k6::K6;
use harness::bench::engine::own::Own;
use harness::bench::engine::wrk::Wrk;
use harness::bench::engine::{Engine, Load, measure};
use harness::bench::input::inputs;
use harness::bench::record::Pace;
use harness::bench::scenario::Scenario;
use harness::child::Service;
use harness::postgres::TemporaryPostgres;
use rustix::process::Pid;
use schema::env::{JWT_SECRET, bench_value};
use schema::{Profile, fixtures};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection};

/// Users with a row and a token each.
const USERS: usize = 1000;

/// Load before each measurement, in seconds.
const WARMUP: Duration = Duration::from_secs(1);

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let mut number = |name: &str| -> Result<usize> {
        let word = arguments.next().context(name.to_owned())?;
        word.parse().context(name.to_owned())
    };
    let connections = number("connections")?;
    let duration = Duration::from_secs(number("seconds")? as u64);
    let rounds = number("rounds")?;
    let attempts = arguments.map(|word| Attempt::parse(&word));
    let attempts: Vec<_> = attempts.collect::<Result<_>>()?;

    let postgres = TemporaryPostgres::start()?;
    let users = users(&postgres)?;
    let upstream = Service::start(&mut pinned("upstream", 1))?;
    let mut target = pinned("target-axum", 0);
    target
        .env("UPSTREAM_URL", format!("http://{}", upstream.address()))
        .env("DB_HOST", postgres.host())
        .env("DB_PORT", postgres.port().to_string());
    let target = Service::start(&mut target)?;

    println!(
        "scenario   engine     requests/s  contender µs  waits  engine µs   mean ms    p50 ms    p99 ms"
    );
    for _ in 0..rounds {
        for scenario in Scenario::ALL {
            let inputs = inputs(scenario, target.address(), &users, bench_value(&JWT_SECRET));
            let mut rates = BTreeMap::new();
            for attempt in &attempts {
                let engine = &*attempt.engine;
                let load = |duration| {
                    Ok::<_, anyhow::Error>(Load {
                        target: target.address(),
                        scenario,
                        inputs: &inputs,
                        connections,
                        threads: 1,
                        pace: attempt.pace(&rates)?,
                        warmup: Duration::ZERO,
                        duration,
                    })
                };
                measure(engine, &load(WARMUP)?)?;
                let before = (Cost::of(target.pid())?, own_cpu_secs()?);
                let measured = measure(engine, &load(duration)?)?;
                let after = (Cost::of(target.pid())?, own_cpu_secs()?);
                let per_request = |count: f64| count / measured.requests as f64;
                println!(
                    "{scenario:9}  {:9}  {:10.0}  {:12.2}  {:5.2}  {:9.2}  {:8.3}  {:8.3}  {:8.3}  {}",
                    attempt.word,
                    measured.requests_per_sec(),
                    per_request(after.0.cpu_secs - before.0.cpu_secs) * 1e6,
                    per_request((after.0.waits - before.0.waits) as f64),
                    per_request(after.1 - before.1) * 1e6,
                    measured.latency.mean_ms,
                    measured.latency.p50_ms,
                    measured.latency.p99_ms,
                    match load(duration)?.pace {
                        Pace::Open(rate) => format!("of {rate:.0} {:?}", measured.errors),
                        Pace::Closed => format!("{:?}", measured.errors),
                    },
                );
                rates.insert(attempt.word.as_str(), measured.requests_per_sec());
            }
        }
    }
    Ok(())
}

/// An engine, and at whose rate it makes an open loop.
struct Attempt {
    word: String,
    engine: Box<dyn Engine>,
    /// The word of another attempt, and what its rate is divided by.
    rate_of: Option<(String, f64)>,
}

impl Attempt {
    fn parse(word: &str) -> Result<Self> {
        let (name, rate) = match word.split_once('@') {
            Some((name, rate)) => (name, Some(rate)),
            None => (word, None),
        };
        let engine: Box<dyn Engine> = match name {
            "own" => Box::new(Own),
            "wrk" => Box::new(Wrk),
            "k6" => Box::new(K6),
            _ => bail!("no engine is called {name}: own, wrk and k6 are there"),
        };
        engine.version()?;
        let rate_of = rate.map(|rate| {
            let (other, divisor) = rate.split_once('/').unwrap_or((rate, "1"));
            let divisor = divisor.parse().with_context(|| format!("reading {word}"))?;
            Ok::<_, anyhow::Error>((other.to_owned(), divisor))
        });
        Ok(Self {
            word: word.to_owned(),
            engine,
            rate_of: rate_of.transpose()?,
        })
    }

    /// How it follows the others, whose rates are these.
    fn pace(&self, rates: &BTreeMap<&str, f64>) -> Result<Pace> {
        let Some((other, divisor)) = &self.rate_of else {
            return Ok(Pace::Closed);
        };
        let rate = rates.get(other.as_str());
        let rate = rate.with_context(|| format!("{}: {other} comes before it", self.word))?;
        Ok(Pace::Open(rate / divisor))
    }
}

/// A service of the suite on one processor.
fn pinned(name: &str, cpu: usize) -> Command {
    let mut command = Command::new("taskset");
    command.arg("--cpu-list").arg(cpu.to_string());
    command.arg(release().join(name));
    command
}

/// The folder of the release builds.
fn release() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release")
}

/// Rows of users that differ.
fn users(postgres: &TemporaryPostgres) -> Result<Vec<Profile>> {
    let users = (0..USERS).map(|number| Profile {
        id: format!("user-bench-{number}"),
        name: format!("Ada Lovelace {number}"),
        ..fixtures::profile()
    });
    let users: Vec<_> = users.collect();
    let options = PgConnectOptions::new()
        .host(postgres.host())
        .port(postgres.port())
        .database(bench_value(&schema::env::DB_NAME))
        .username(bench_value(&schema::env::DB_USER))
        .password(bench_value(&schema::env::DB_PASSWORD));
    let insert = async {
        let mut connection = options.connect().await?;
        for user in &users {
            sqlx::query("INSERT INTO users VALUES ($1, $2, $3, $4, $5, $6)")
                .bind(&user.id)
                .bind(&user.name)
                .bind(&user.email)
                .bind(&user.address)
                .bind(&user.city)
                .bind(&user.country)
                .execute(&mut connection)
                .await?;
        }
        connection.close().await
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(insert).context("inserting users")?;
    Ok(users)
}

/// What a process has used so far.
struct Cost {
    cpu_secs: f64,
    /// How often one of its threads had nothing to do: who waits for each request pays for it.
    waits: u64,
}

impl Cost {
    fn of(process: Pid) -> Result<Self> {
        let mut nanos: u64 = 0;
        let mut waits: u64 = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", process.as_raw_nonzero()))? {
            let folder = thread?.path();
            let stat = fs::read_to_string(folder.join("schedstat"))?;
            let first = stat.split(' ').next().unwrap_or_default();
            nanos += first.parse::<u64>().context("reading schedstat")?;
            let status = fs::read_to_string(folder.join("status"))?;
            let mut lines = status.lines();
            let count = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            let count = count.unwrap_or_default().trim();
            waits += count.parse::<u64>().context("reading status")?;
        }
        Ok(Self {
            cpu_secs: nanos as f64 / 1e9,
            waits,
        })
    }
}

/// Processor time of this process and of the children that have ended so far.
fn own_cpu_secs() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat").context("reading /proc/self/stat")?;
    // The name, in parentheses, may hold blanks; user and system time follow, then the children's.
    let (_, rest) = stat.rsplit_once(')').context("/proc/self/stat")?;
    let ticks = rest
        .split_whitespace()
        .skip(11)
        .take(4)
        .map(str::parse::<u64>);
    let ticks: u64 = ticks.sum::<Result<_, _>>().context("/proc/self/stat")?;
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}
