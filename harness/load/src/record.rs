//! What a run writes down: `results.jsonl`, a line for each thing that happened, in its order,
//! only ever appended to. Written and read here and nowhere else.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::scenario::Scenario;

/// Version of the format of the lines. Results of any other version are refused.
pub const SCHEMA: u32 = 3;

/// One line of `results.jsonl`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Line {
    /// The first line: what is measured, where, and by which command.
    Run(Box<Run>),
    /// The engine was measured against `limit`.
    Calibration(Box<Attempt>),
    /// A contender was started for a round, and checked.
    Start(Start),
    /// A scenario was measured.
    Attempt(Box<Attempt>),
    /// A contender's round ended in another way: nothing more is known of it.
    Failure(Failure),
    /// An interrupted run was taken up again.
    Resumed {
        /// RFC 3339, UTC.
        at: String,
    },
    /// All that was planned is done.
    End {
        /// RFC 3339, UTC.
        at: String,
    },
}

/// What a run is.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Run {
    /// [`SCHEMA`] of the writer.
    pub schema: u32,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// The command line, its first word `harness`.
    pub command: Vec<String>,
    /// Commit of the suite, with `-dirty` if it was changed; none outside a checkout.
    pub commit: Option<String>,
    /// The machine.
    pub machine: Machine,
    /// Versions by name: `harness`, `postgres`, the engine's, …
    pub versions: BTreeMap<String, String>,
    /// What is measured.
    pub plan: Plan,
    /// Where the figures are from if another harness measured them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Imported>,
}

/// A run that another harness measured.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Imported {
    /// The harness.
    pub harness: String,
    /// Name of the file, without its folder.
    pub file: String,
    /// What it calls the run.
    pub run: String,
    /// What the run had and our form has no place for, by name.
    pub notes: BTreeMap<String, String>,
}

/// The machine of a run.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Machine {
    /// Its name.
    pub host: String,
    /// Model of the processor.
    pub cpu: String,
    /// Logical processors.
    pub cores: Option<usize>,
    /// Operating system and kernel, such as `Linux 6.1.0`.
    pub kernel: String,
    /// Frequency governor, if the kernel tells.
    pub governor: Option<String>,
    /// Main memory in bytes.
    pub memory_bytes: Option<u64>,
    /// What it is virtualised by, such as `kvm`; `none` on bare metal; none if nothing tells.
    pub virtualisation: Option<String>,
}

/// What is measured, and how.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Plan {
    /// In the order they were named; each round begins with another one.
    pub contenders: Vec<Planned>,
    /// In the contract's order.
    pub scenarios: Vec<Scenario>,
    /// How often each cell is measured.
    pub rounds: u32,
    /// Measured time of an attempt, in seconds.
    pub duration_secs: f64,
    /// Time of load before it, in seconds.
    pub warmup_secs: f64,
    /// Connections of the engine.
    pub connections: usize,
    /// `WORKERS` of the contenders.
    pub workers: usize,
    /// Processors of the contender.
    pub contender_cpus: Vec<usize>,
    /// Processors of everything else; empty if it is not known.
    pub other_cpus: Vec<usize>,
    /// Name of the engine.
    pub engine: String,
    /// Rates that are asked for in open loop, each once; none in a run of closed loops only.
    pub rates: Vec<Rate>,
}

impl Plan {
    /// Its rounds, and the one of the open loops.
    #[must_use]
    pub fn rounds_in_all(&self) -> u32 {
        self.rounds + u32::from(!self.rates.is_empty())
    }

    /// Its place among runs that differ in nothing else.
    pub fn point(&self) -> Point {
        Point {
            workers: self.workers,
            connections: self.connections,
        }
    }

    /// The same at another place.
    pub fn at(self, point: Point) -> Self {
        let Point {
            workers,
            connections,
        } = point;
        Self {
            workers,
            connections,
            ..self
        }
    }
}

/// The numbers that runs with one report on how they scale may differ in, in the order of its rows.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Point {
    pub workers: usize,
    pub connections: usize,
}

/// A contender of the plan.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Planned {
    /// Its name.
    pub name: String,
    /// Language and framework, with versions.
    pub made_of: String,
    /// The physical limit and no contender: never ranked, never checked.
    pub is_ceiling: bool,
    /// Whether it runs in a container.
    pub in_container: bool,
    /// Slugs or patterns of checks that it deviates from on purpose, and why.
    pub deviations: BTreeMap<String, String>,
}

/// A rate of an open loop.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rate {
    /// Requests per second.
    Fixed(f64),
    /// Per cent of the rate of the slowest contender that was server-bound in the closed loop.
    PercentOfSlowest(f64),
    /// Rates that double from a quarter of that rate, for each contender until its knee.
    Sweep,
}

/// How requests follow each other.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pace {
    /// On each connection the next request goes out when the answer is in.
    Closed,
    /// Requests go out on a schedule of so many per second; latency counts from the scheduled
    /// time.
    Open(f64),
}

/// A contender's start in a round, and how it stood the check.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Start {
    /// Its name.
    pub contender: String,
    /// From 1.
    pub round: u32,
    /// From the start of the process to its first answer, in milliseconds.
    pub ready_ms: f64,
    /// Checks of level `work` that it passed; none are asked of the limit.
    pub passed: usize,
    /// The checks that it failed: it is not ranked if there is one.
    pub failed: Vec<Failed>,
}

/// A failed check.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Failed {
    /// Its stable name.
    pub slug: String,
    /// What was expected.
    pub expected: String,
    /// What came.
    pub actual: String,
}

/// A contender could not be started, or died.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Failure {
    /// Its name.
    pub contender: String,
    /// From 1.
    pub round: u32,
    /// What happened.
    pub error: String,
}

/// One measurement of one scenario.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Attempt {
    /// The contender's name.
    pub contender: String,
    /// What was asked.
    pub scenario: Scenario,
    /// From 1.
    pub round: u32,
    /// How requests followed each other.
    pub pace: Pace,
    /// RFC 3339, UTC.
    pub started_at: Option<String>,
    /// What the engine saw.
    pub measured: Measured,
    /// What it cost, and whom.
    pub usage: ResourceUsage,
    /// Who was at the limit.
    pub bottleneck: Bottleneck,
    /// What does not add up: Little's law, the server's count.
    pub warnings: Vec<String>,
}

/// What the engine saw within the measured time.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Measured {
    /// The measured time, in seconds.
    pub seconds: f64,
    /// Right answers.
    pub requests: u64,
    /// Right answers of the engine's whole run, before and after the measured time too.
    pub answers_in_all: u64,
    /// What else came, by kind, such as `status 503`, `length`, `body: rating`, `connection reset`.
    pub errors: BTreeMap<String, u64>,
    /// Bytes of all answers.
    pub bytes: Option<u64>,
    /// Of right answers.
    pub latency: Latency,
    /// Right answers of each tenth of a second; empty if the engine does not tell.
    pub per_100_ms: Vec<u32>,
}

/// Latencies in milliseconds. In closed loop from the sending of a request to the last byte of its
/// answer, in open loop from the time that it was scheduled for.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Latency {
    /// Mean.
    pub mean_ms: f64,
    /// Smallest; it and each of the following but the 99th percentile if the engine tells it.
    pub min_ms: Option<f64>,
    /// Median.
    pub p50_ms: Option<f64>,
    /// 75th percentile.
    pub p75_ms: Option<f64>,
    /// 90th percentile.
    pub p90_ms: Option<f64>,
    /// 95th percentile.
    pub p95_ms: Option<f64>,
    /// 99th percentile.
    pub p99_ms: f64,
    /// 99.9th percentile.
    pub p99_9_ms: Option<f64>,
    /// Largest.
    pub max_ms: Option<f64>,
}

/// What an attempt cost, and whom.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ResourceUsage {
    /// All processes and threads of the contender.
    pub contender: Usage,
    /// The engine's.
    pub generator: Usage,
    /// The upstream's.
    pub upstream: Usage,
    /// All of Postgres.
    pub postgres: Usage,
    /// Share of the contender's processors that was idle, 0 to 1.
    pub contender_cpus_idle: Option<f64>,
    /// Share of the other processors that was idle, 0 to 1.
    pub other_cpus_idle: Option<f64>,
    /// Share of all processors' time that the hypervisor took, 0 to 1.
    pub steal: Option<f64>,
    /// Processors' time that nobody of these four used, nor the kernel for its interrupts, as a
    /// share of all, 0 to 1.
    pub foreign: Option<f64>,
    /// Load average of the last minute at the end.
    pub load_1min: Option<f64>,
    /// Requests that the server's side counted: calls of the upstream, or scans of `users`.
    pub served: Option<u64>,
    /// Mean number of calls that the upstream had in its hands.
    pub upstream_in_flight: Option<f64>,
    /// What samples of the contender's processors say, where its time is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampled: Option<Sampled>,
    /// The attempt at 10 Hz.
    pub timeline: Timeline,
}

/// What one of the parties used within the measured time.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Usage {
    /// Processor time, user and system, in seconds.
    pub cpu_secs: Option<f64>,
    /// Largest resident memory, in bytes; none if it is not told apart.
    #[serde(deserialize_with = "zero_is_unknown")]
    pub rss_peak_bytes: Option<u64>,
    /// Mean resident memory, in bytes; none if it is not told apart.
    #[serde(deserialize_with = "zero_is_unknown")]
    pub rss_mean_bytes: Option<u64>,
    /// Context switches, voluntary and not.
    pub context_switches: Option<u64>,
}

/// What somebody who looked at the contender now and then saw, from before the first request to after
/// the last: in processors, 1.0 is one of them busy all the time.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Sampled {
    /// Mean of the samples.
    pub mean: f64,
    /// The largest.
    pub peak: f64,
}

/// Version 1 wrote 0 for memory that is not told apart.
fn zero_is_unknown<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let bytes = Option::<u64>::deserialize(deserializer)?;
    Ok(bytes.filter(|bytes| *bytes > 0))
}

/// Processor time used in each slice of the measured time, in processors (1.0 is one of them busy
/// all the time).
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Timeline {
    /// Begin of each slice from the begin of the measured time, in milliseconds, and at last the
    /// end.
    pub at_ms: Vec<f64>,
    /// The contender's.
    pub contender: Vec<f64>,
    /// The engine's.
    pub generator: Vec<f64>,
    /// The upstream's.
    pub upstream: Vec<f64>,
    /// Postgres's.
    pub postgres: Vec<f64>,
    /// Resident memory of the contender at the end of each slice, in bytes.
    pub contender_rss_bytes: Vec<u64>,
}

/// Who was at the limit in an attempt. Only what is server-bound is ranked by requests per second.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bottleneck {
    /// The contender used all that it had.
    ServerBound,
    /// The engine did.
    GeneratorBound,
    /// The upstream did, or most requests waited for it.
    UpstreamBound,
    /// Postgres did.
    DatabaseBound,
    /// Nobody did: the contender waits, by its own construction or for a schedule.
    Waiting,
    /// Something else on this machine took part.
    Noisy,
    /// Somebody else or nobody did: the contender never used all that it had, and no more is known.
    NotServerBound,
    /// What is known does not tell.
    Unknown,
    /// Some answers were wrong, or did not come.
    Errors,
}

impl Bottleneck {
    /// Its name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ServerBound => "server-bound",
            Self::GeneratorBound => "generator-bound",
            Self::UpstreamBound => "upstream-bound",
            Self::DatabaseBound => "database-bound",
            Self::Waiting => "waiting",
            Self::Noisy => "noisy",
            Self::NotServerBound => "not server-bound",
            Self::Unknown => "unknown",
            Self::Errors => "errors",
        }
    }
}

impl Plan {
    /// Threads of an engine of our own: one for each of its processors, but each with a connection.
    #[must_use]
    pub fn generator_threads(&self) -> usize {
        self.other_cpus.len().clamp(1, self.connections.max(1))
    }
}

impl Measured {
    /// Right answers per second.
    #[must_use]
    pub fn requests_per_sec(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    /// Answers that were wrong or did not come.
    #[must_use]
    pub fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }
}

impl Attempt {
    /// The contender's processor time for one right answer, in microseconds: the primary figure.
    /// None without a right answer, or where its processor time is not known.
    #[must_use]
    pub fn cpu_us_per_request(&self) -> Option<f64> {
        self.us_per_request(&self.usage.contender)
    }

    /// One of the parties' processor time for one right answer, in microseconds.
    #[must_use]
    pub fn us_per_request(&self, usage: &Usage) -> Option<f64> {
        let requests = self.measured.requests;
        let cpu_secs = usage.cpu_secs.filter(|_| requests > 0)?;
        Some(cpu_secs * 1e6 / requests as f64)
    }
}
