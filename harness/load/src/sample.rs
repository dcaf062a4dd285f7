//! A run as it might have been, for the tests: figures of the field, and everything that can go wrong.

pub(crate) mod small;

use std::collections::BTreeMap;

use super::record::{
    Attempt, Bottleneck, Failed, Failure, Latency, Line, Machine, Measured, Pace, Plan, Planned,
    Rate, ResourceUsage, Run, SCHEMA, Start, Usage,
};
use super::results::Results;
use super::scenario::Scenario;

const AT: &str = "2026-11-20T09:30:00Z";
const SECONDS: f64 = 10.0;
const ROUNDS: u32 = 3;

/// Name, what it is made of, thousands of requests per processor second in each scenario, megabytes.
const FIELD: [(&str, &str, [f64; 4], u64); 9] = [
    (
        "limit",
        "raw epoll loop, no parsing, no work",
        [174.0, 178.0, 87.0, 54.0],
        4,
    ),
    (
        "axum",
        "Rust 1.95, axum 0.8",
        [145.0, 106.0, 49.0, 32.0],
        14,
    ),
    (
        "axum-tuned",
        "Rust 1.95, axum 0.8",
        [146.0, 108.0, 63.0, 48.0],
        15,
    ),
    (
        "elysia",
        "Bun 1.3, Elysia 1.4",
        [114.0, 34.0, 36.0, 23.0],
        64,
    ),
    ("gin", "Go 1.26, gin 1.12", [80.0, 53.0, 28.0, 30.0], 31),
    (
        "jero",
        "Python 3.13, jero 0.4",
        [62.0, 20.0, 27.0, 8.8],
        105,
    ),
    (
        "robyn",
        "Python 3.13, Robyn 0.74",
        [29.0, 13.0, 17.0, 6.8],
        88,
    ),
    (
        "fastapi",
        "Python 3.13, FastAPI 0.128",
        [19.0, 5.6, 9.7, 4.1],
        92,
    ),
    ("flask", "Python 3.13, Flask 3.1", [13.0, 6.5, 5.3, 3.3], 51),
];

/// A whole run: nine contenders, two cells that are not server-bound, one contender that failed its
/// check, one cell with much spread, one round that failed, open loops.
pub(crate) fn results() -> Results {
    let mut results = Results::of(run());
    for scenario in Scenario::ALL {
        results
            .calibrations
            .push(attempt(0, scenario, 1, Pace::Closed));
    }
    for round in 1..=ROUNDS {
        for (index, (name, ..)) in FIELD.iter().enumerate() {
            results.starts.push(start(name, round));
            if *name == "flask" && round == 2 {
                results.failures.push(Failure {
                    contender: "flask".to_owned(),
                    round,
                    error: "died in users-me: signal 9 (killed)".to_owned(),
                });
                continue;
            }
            for scenario in Scenario::ALL {
                results
                    .attempts
                    .push(attempt(index, scenario, round, Pace::Closed));
                for rate in rates(index, scenario) {
                    results
                        .attempts
                        .push(attempt(index, scenario, round, Pace::Open(rate)));
                }
            }
        }
    }
    results.ended_at = Some("2026-11-20T11:02:41Z".to_owned());
    results
}

/// The lines of these results, as a run writes them.
pub(crate) fn written(results: &Results) -> Vec<u8> {
    let mut lines = vec![Line::Run(Box::new(results.run.clone()))];
    let boxed = |attempt: &Attempt| Box::new(attempt.clone());
    lines.extend(
        results
            .calibrations
            .iter()
            .map(boxed)
            .map(Line::Calibration),
    );
    lines.extend(results.starts.iter().cloned().map(Line::Start));
    lines.extend(results.attempts.iter().map(boxed).map(Line::Attempt));
    lines.extend(results.failures.iter().cloned().map(Line::Failure));
    let resumed = results.resumed_at.iter().cloned();
    lines.extend(resumed.map(|at| Line::Resumed { at }));
    let ended = results.ended_at.iter().cloned();
    lines.extend(ended.map(|at| Line::End { at }));
    let lines = lines
        .iter()
        .map(|line| serde_json::to_string(line).unwrap() + "\n");
    lines.collect::<String>().into_bytes()
}

fn run() -> Run {
    let contenders = FIELD.iter().map(|(name, made_of, ..)| Planned {
        name: (*name).to_owned(),
        made_of: (*made_of).to_owned(),
        is_ceiling: *name == "limit",
        in_container: false,
        deviations: match *name {
            "flask" => BTreeMap::from([(
                "movies/400-too-deep".to_owned(),
                "json only stops at Python's own limit of recursion".to_owned(),
            )]),
            _ => BTreeMap::new(),
        },
    });
    let versions = [("harness", "0.1.0"), ("postgres", "18.1"), ("wrk", "4.2.0")];
    Run {
        schema: SCHEMA,
        started_at: AT.to_owned(),
        command: [
            "harness",
            "bench",
            "--all",
            "--rounds",
            "3",
            "--rates",
            "25%,50%,75%,sweep",
        ]
        .map(str::to_owned)
        .to_vec(),
        commit: Some("9564f2a".to_owned()),
        machine: Machine {
            host: "bench-1".to_owned(),
            cpu: "AMD EPYC 7R13 Processor".to_owned(),
            cores: Some(2),
            kernel: "Linux 6.1.0".to_owned(),
            governor: None,
            memory_bytes: Some(8 << 30),
            virtualisation: Some("kvm".to_owned()),
        },
        versions: versions
            .map(|(name, version)| (name.to_owned(), version.to_owned()))
            .into(),
        plan: Plan {
            contenders: contenders.collect(),
            scenarios: Scenario::ALL.to_vec(),
            rounds: ROUNDS,
            duration_secs: SECONDS,
            warmup_secs: 3.0,
            connections: 100,
            workers: 1,
            contender_cpus: vec![0],
            other_cpus: vec![1],
            engine: "wrk".to_owned(),
            rates: vec![
                Rate::PercentOfSlowest(25.0),
                Rate::PercentOfSlowest(50.0),
                Rate::PercentOfSlowest(75.0),
                Rate::Sweep,
            ],
        },
        imported: None,
    }
}

fn start(name: &str, round: u32) -> Start {
    let failed = |slug: &str, expected: &str, actual: &str| Failed {
        slug: slug.to_owned(),
        expected: expected.to_owned(),
        actual: actual.to_owned(),
    };
    Start {
        contender: name.to_owned(),
        round,
        ready_ms: 48.0,
        passed: if name == "robyn" { 22 } else { 24 },
        failed: match name {
            "robyn" => vec![
                failed("movies/401-bad-signature", "status 401", "status 201"),
                failed(
                    "catalog/fresh",
                    "the product as the upstream has it now",
                    "an older one",
                ),
            ],
            _ => Vec::new(),
        },
    }
}

/// The rate at which a contender's processor is full.
fn capacity(index: usize, scenario: Scenario) -> f64 {
    FIELD[index].2[scenario as usize] * 1000.0
}

/// Quarters of the slowest, then doubled until its own knee.
fn rates(index: usize, scenario: Scenario) -> Vec<f64> {
    let slowest = (0..FIELD.len()).map(|index| capacity(index, scenario));
    let slowest = slowest.fold(f64::INFINITY, f64::min);
    let mut rates = vec![slowest * 0.25, slowest * 0.5, slowest * 0.75];
    while rates[rates.len() - 1] < capacity(index, scenario) {
        rates.push(slowest * 0.5 * 2_f64.powi(i32::try_from(rates.len()).unwrap() - 2));
    }
    rates
}

fn attempt(index: usize, scenario: Scenario, round: u32, pace: Pace) -> Attempt {
    let (name, _, _, megabytes) = FIELD[index];
    let is_wide = name == "fastapi" && scenario == Scenario::Movies;
    // Rounds differ by up to 2 per cent, in a way that looks like chance and is none.
    let wobble = [0.0, 0.011, -0.009, 0.006][(index + scenario as usize + round as usize) % 4];
    let wobble = if is_wide {
        [0.0, 0.02, 0.13][round as usize - 1]
    } else {
        wobble
    };
    let capacity = capacity(index, scenario) * (1.0 - wobble);
    let bottleneck = match (name, scenario) {
        ("flask", Scenario::Catalog) => Bottleneck::Waiting,
        ("limit", Scenario::Info) => Bottleneck::GeneratorBound,
        _ => Bottleneck::ServerBound,
    };
    let used = match bottleneck {
        Bottleneck::ServerBound => 0.995,
        Bottleneck::Waiting => 0.31,
        _ => 0.88,
    };
    let (rate, latency) = match pace {
        Pace::Closed => (capacity * used, closed_latency(capacity * used, wobble)),
        Pace::Open(asked) => (
            asked.min(capacity),
            open_latency(asked / capacity, capacity),
        ),
    };
    let busy = rate / capacity;
    let requests = (rate * SECONDS) as u64;
    let others = |us: f64| Usage {
        cpu_secs: Some(us * requests as f64 / 1e6),
        rss_peak_bytes: None,
        rss_mean_bytes: None,
        context_switches: Some(900),
    };
    let warning = (name, scenario, round, pace) == ("gin", Scenario::UsersMe, 3, Pace::Closed);
    Attempt {
        contender: name.to_owned(),
        scenario,
        round,
        pace,
        started_at: Some(AT.to_owned()),
        measured: Measured {
            seconds: SECONDS,
            requests,
            answers_in_all: requests,
            errors: BTreeMap::new(),
            bytes: Some(requests * 256),
            latency,
            per_100_ms: Vec::new(),
        },
        usage: ResourceUsage {
            contender: Usage {
                cpu_secs: Some(busy * SECONDS),
                rss_peak_bytes: Some(megabytes << 20),
                rss_mean_bytes: Some((megabytes << 20) * 9 / 10),
                context_switches: Some(1200),
            },
            generator: others(2.1),
            upstream: others(if scenario == Scenario::Catalog {
                5.2
            } else {
                0.0
            }),
            postgres: others(if scenario == Scenario::UsersMe {
                17.5
            } else {
                0.0
            }),
            contender_cpus_idle: Some(1.0 - busy),
            other_cpus_idle: Some(0.4),
            served: None,
            ..ResourceUsage::default()
        },
        bottleneck,
        warnings: match warning {
            true => vec!["100 connections, but rate × mean latency is 93.1".to_owned()],
            false => Vec::new(),
        },
    }
}

/// A hundred connections in turn.
fn closed_latency(rate: f64, wobble: f64) -> Latency {
    let mean_ms = 100.0 / rate * 1000.0;
    shaped(mean_ms, mean_ms * (1.7 + wobble))
}

/// As of a queue: short until it is nearly always busy.
fn open_latency(busy: f64, capacity: f64) -> Latency {
    let service_ms = 1000.0 / capacity;
    let mean_ms = match busy {
        _ if busy < 0.98 => 0.06 + service_ms * (1.0 + 8.0 * busy / (1.0 - busy)),
        _ => 900.0 * busy,
    };
    shaped(mean_ms, mean_ms * 2.6)
}

fn shaped(mean_ms: f64, p99_ms: f64) -> Latency {
    Latency {
        mean_ms,
        min_ms: Some(mean_ms * 0.3),
        p50_ms: Some(mean_ms * 0.94),
        p75_ms: None,
        p90_ms: Some(mean_ms * 1.3),
        p95_ms: None,
        p99_ms,
        p99_9_ms: Some(p99_ms * 1.8),
        max_ms: Some(p99_ms * 3.1),
    }
}
