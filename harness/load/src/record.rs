//! The lines of `results.jsonl`. They are appended in the order of events and never changed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::scenario::Scenario;
use testbed::contender::Category;

/// A contender that returns a smaller share of the scheduled rate does not keep up with it.
const KEEPS_UP: f64 = 0.99;

/// Version of the format of the lines. Results of any other version are refused.
pub const SCHEMA: u32 = 4;

/// One line of `results.jsonl`. Times are RFC 3339, UTC.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Line {
    /// The first line.
    Run(Box<Run>),
    /// A measurement of the engine against the ceiling.
    Calibration(Box<Attempt>),
    /// The start and the checks of a contender in a round.
    Start(Start),
    /// A measurement of a contender in a scenario.
    Attempt(Box<Attempt>),
    /// A round that a contender could not complete.
    Failure(Failure),
    /// An interrupted run was resumed.
    Resumed { at: String },
    /// Everything planned is done.
    End { at: String },
}

/// The description of a run.
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
    pub machine: Machine,
    /// Versions by name: `harness`, `postgres`, the engine's.
    pub versions: BTreeMap<String, String>,
    pub plan: Plan,
}

/// The machine of a run.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Machine {
    /// Host name.
    pub host: String,
    /// Model of the CPU.
    pub cpu: String,
    /// Number of logical cores.
    pub cores: Option<usize>,
    /// Operating system and kernel, such as `Linux 6.1.0`.
    pub kernel: String,
    /// Frequency governor.
    pub governor: Option<String>,
    /// Main memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Hypervisor, such as `kvm`; `none` on bare metal.
    pub virtualisation: Option<String>,
}

/// The contenders, scenarios and settings of a run.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Plan {
    /// In the order of the command line; each round begins with another contender.
    pub contenders: Vec<Planned>,
    /// In the contract's order.
    pub scenarios: Vec<Scenario>,
    /// Number of attempts of each contender in each scenario.
    pub rounds: u32,
    /// Measured time of an attempt, in seconds.
    pub duration_secs: f64,
    /// Load before the measured time, in seconds.
    pub warmup_secs: f64,
    /// Connections of the engine.
    pub connections: usize,
    /// `WORKERS` of the contenders.
    pub workers: usize,
    /// CPUs of the contender; empty if they are not known.
    pub contender_cpus: Vec<usize>,
    /// CPUs of everything else.
    pub other_cpus: Vec<usize>,
    /// CPUs that the control group of the harness grants; none without a quota.
    pub cpu_quota: Option<f64>,
    /// Name of the engine.
    pub engine: String,
    /// Share (0 to 1) of the requests that are invalid, in a closed loop beside the others; 0 for none.
    pub invalid: f64,
    /// Rates of the open loops, each measured once; empty in a run of closed loops only.
    pub rates: Vec<Rate>,
}

/// The settings in which the runs of one report may differ, in the order of its rows.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Point {
    pub workers: usize,
    pub connections: usize,
}

/// A contender of the plan.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Planned {
    pub name: String,
    /// Language and framework, with versions.
    pub made_of: String,
    pub category: Category,
    pub in_container: bool,
    /// Reasons of declared deviations, by slug or pattern of the check.
    pub deviations: BTreeMap<String, String>,
}

/// A rate of an open loop.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rate {
    /// Requests per second.
    Fixed(f64),
    /// Percentage of the rate of the slowest contender that was server-bound in the closed loop.
    PercentOfSlowest(f64),
    /// Rates that double from a quarter of that rate, for each contender until its knee.
    Sweep,
}

/// The load model.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoadModel {
    /// Closed loop: each connection sends its next request after the response.
    Closed,
    /// Closed loop in which this share (0 to 1) of the requests must be refused.
    Invalid(f64),
    /// Open loop: requests follow a schedule of so many per second, and latency counts from the
    /// scheduled time.
    Open(f64),
}

/// The start of a contender in a round, with its checks.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Start {
    /// The contender's name.
    pub contender: String,
    /// From 1.
    pub round: u32,
    /// Time from the start of the process to its first response, in milliseconds; none for a contender
    /// that runs already.
    pub ready_ms: Option<f64>,
    /// Time of the first request of each scenario after that, in milliseconds.
    pub first_ms: BTreeMap<Scenario, f64>,
    /// Number of passed checks of level `work`; 0 for one that is not checked, such as the ceiling.
    pub passed: usize,
    /// Failed checks: with one of them a contender is not ranked.
    pub failed: Vec<Failed>,
}

/// A failed check.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Failed {
    /// The check's stable name.
    pub slug: String,
    pub expected: String,
    pub actual: String,
}

/// A contender could not be started, or exited.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Failure {
    /// The contender's name.
    pub contender: String,
    /// From 1.
    pub round: u32,
    pub error: String,
}

/// One measurement of one scenario.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Attempt {
    /// The contender's name.
    pub contender: String,
    pub scenario: Scenario,
    /// From 1.
    pub round: u32,
    pub load_model: LoadModel,
    /// RFC 3339, UTC.
    pub started_at: String,
    pub measured: Measured,
    pub usage: ResourceUsage,
    pub bottleneck: Bottleneck,
    /// CPU time per request where a few requests are repeated, as a share of that of unique ones; none
    /// if it was not measured.
    pub repeated_cost: Option<f64>,
    /// Failed plausibility checks: Little's law, the number of requests that the server counted.
    pub warnings: Vec<String>,
}

/// The engine's results within the measured time.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Measured {
    /// The measured time, in seconds.
    pub seconds: f64,
    /// Number of correct responses.
    pub requests: u64,
    /// Number of correct responses with those before and after the measured time.
    pub answers_in_all: u64,
    /// Number of errors by kind, such as `status 503`, `length`, `body: rating`, `connection reset`.
    pub errors: BTreeMap<String, u64>,
    /// Bytes of all responses.
    pub bytes: Option<u64>,
    /// Latency of correct responses.
    pub latency: Latency,
    /// Number of invalid requests that were refused.
    pub refused: u64,
    /// Number of requests sent again, because the server had closed their connection.
    pub resent: u64,
}

/// Latencies in milliseconds. In closed loop from the sending of a request to the last byte of its
/// response, in open loop from the scheduled time.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Latency {
    pub mean_ms: f64,
    pub min_ms: Option<f64>,
    pub p50_ms: Option<f64>,
    pub p75_ms: Option<f64>,
    pub p90_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub p99_ms: f64,
    pub p99_9_ms: Option<f64>,
    pub max_ms: Option<f64>,
}

/// The resource usage of everything that takes part in an attempt, and the state of the machine.
/// Shares are from 0 to 1.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ResourceUsage {
    /// All processes and threads of the contender.
    pub contender: Usage,
    pub generator: Usage,
    pub upstream: Usage,
    /// All processes of Postgres.
    pub postgres: Usage,
    /// Idle share of the contender's CPUs.
    pub contender_cpus_idle: f64,
    /// Idle share of the other CPUs.
    pub other_cpus_idle: f64,
    /// Share of all CPU time that the hypervisor took.
    pub steal: f64,
    /// Share of all CPU time that processes outside of the benchmark used.
    pub foreign: f64,
    /// Load average of the last minute, at the end.
    pub load_1min: Option<f64>,
    /// Requests that the server's side counted: calls of the upstream, or scans of `users`.
    pub served: Option<u64>,
    /// Mean number of concurrent calls of the upstream.
    pub upstream_in_flight: Option<f64>,
}

/// The resource usage of a process group within the measured time.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Usage {
    /// CPU time, user and system, in seconds.
    pub cpu_secs: f64,
    /// Maximum resident memory, in bytes; only known of the contender.
    pub rss_peak_bytes: Option<u64>,
    /// Mean resident memory, in bytes; only known of the contender.
    pub rss_mean_bytes: Option<u64>,
    /// Number of context switches, voluntary and not.
    pub context_switches: u64,
}

/// The bottleneck of an attempt. Only server-bound attempts are ranked by requests per second.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bottleneck {
    /// The contender used all of its CPUs.
    ServerBound,
    /// The engine was saturated.
    GeneratorBound,
    /// The upstream was saturated, or most requests waited for it.
    UpstreamBound,
    /// Postgres was saturated.
    DatabaseBound,
    /// Nothing was saturated: the contender waited, by its construction or for a schedule.
    Waiting,
    /// The CPUs of the contender are not known, and nothing else was saturated.
    Unknown,
    /// Other processes or the hypervisor used the CPUs.
    Noisy,
    /// The contender has no CPUs of its own: its saturation cannot be seen.
    SharedCpus,
    /// The contender remembers earlier requests or answers: its values are not comparable.
    NotComparable,
    /// Some responses were wrong or missing.
    Errors,
}

impl Bottleneck {
    /// Returns the name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ServerBound => "server-bound",
            Self::GeneratorBound => "generator-bound",
            Self::UpstreamBound => "upstream-bound",
            Self::DatabaseBound => "database-bound",
            Self::Waiting => "waiting",
            Self::Unknown => "unknown",
            Self::Noisy => "noisy",
            Self::SharedCpus => "shared CPUs",
            Self::NotComparable => "not comparable",
            Self::Errors => "errors",
        }
    }
}

impl Planned {
    /// Returns true for the ceiling, which is never ranked and never checked.
    #[must_use]
    pub fn is_ceiling(&self) -> bool {
        self.category == Category::Ceiling
    }
}

impl Plan {
    /// Returns the number of rounds, with the one of the open loops.
    #[must_use]
    pub fn rounds_in_all(&self) -> u32 {
        self.rounds + u32::from(!self.rates.is_empty())
    }

    /// Returns the settings that may differ between the runs of one report.
    #[must_use]
    pub fn point(&self) -> Point {
        Point {
            workers: self.workers,
            connections: self.connections,
        }
    }

    /// Returns the reason why the contender has no CPUs of its own; none if it has.
    #[must_use]
    pub fn shared_cpus(&self) -> Option<String> {
        let shared = |cpu: &&usize| self.other_cpus.contains(cpu);
        if let Some(cpu) = self.contender_cpus.iter().find(shared) {
            return Some(format!("contender and engine share CPU {cpu}"));
        }
        let cpus = self.contender_cpus.len();
        let quota = self.cpu_quota.filter(|quota| *quota < cpus as f64)?;
        Some(format!("the control group grants {quota} CPUs"))
    }

    /// Returns the number of threads of the builtin engine: one for each of its CPUs, but each
    /// with at least one connection.
    #[must_use]
    pub fn generator_threads(&self) -> usize {
        self.other_cpus.len().clamp(1, self.connections.max(1))
    }
}

impl Measured {
    /// Returns the rate of correct responses.
    #[must_use]
    pub fn requests_per_sec(&self) -> f64 {
        match self.requests {
            0 => 0.0,
            requests => requests as f64 / self.seconds,
        }
    }

    /// Returns true if nearly all of the scheduled requests were answered in time.
    #[must_use]
    pub fn keeps_up_with(&self, rate: f64) -> bool {
        self.requests_per_sec() >= rate * KEEPS_UP
    }

    /// Returns the number of wrong or missing responses.
    #[must_use]
    pub fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }
}

impl Attempt {
    /// Returns the contender's CPU time per correct response, in microseconds: the primary metric.
    /// None without a correct response, or if the processes are not known.
    #[must_use]
    pub fn cpu_us_per_request(&self) -> Option<f64> {
        let (requests, cpu_secs) = (self.measured.requests, self.usage.contender.cpu_secs);
        (requests > 0 && cpu_secs > 0.0).then(|| cpu_secs * 1e6 / requests as f64)
    }

    /// Returns the CPU time per refused request, in microseconds, if a valid one takes `valid_us`.
    #[must_use]
    pub(crate) fn cpu_us_per_refusal(&self, valid_us: f64) -> Option<f64> {
        let refused = self.measured.refused;
        let rest = self.usage.contender.cpu_secs * 1e6 - self.measured.requests as f64 * valid_us;
        (refused > 0).then(|| rest / refused as f64)
    }
}
