//! A run for tests, with everything that can go wrong: a failed check, a failed round, a wide spread, a
//! contender that is not server-bound, a warning, and open loops.

pub(crate) mod small;

use std::collections::BTreeMap;
use std::path::Path;

use super::record::{
    Attempt, Bottleneck, Failed, Failure, Latency, Line, LoadModel, Machine, Rate, Run, SCHEMA,
    Start,
};
use super::results::{Log, Results};
use super::scenario::Scenario;

/// Names, and thousands of requests per second of CPU time.
const FIELD: [(&str, f64); 5] = [
    ("ceiling", 180.0),
    ("axum", 100.0),
    ("gin", 50.0),
    ("flask", 10.0),
    ("robyn", 20.0),
];

/// The rate of the open loops: 90 % of the slowest contender's.
const RATE: f64 = 9000.0;

/// Returns the description of the run: three rounds of all scenarios.
pub(crate) fn run() -> Run {
    let mut plan = small::plan(&FIELD.map(|(name, _)| name));
    plan.rates = vec![Rate::PercentOfSlowest(90.0)];
    let reason = "stops at the recursion limit of Python".to_owned();
    let deviations = &mut plan.contenders[3].deviations;
    deviations.insert("movies/400-too-deep".to_owned(), reason);
    Run {
        schema: SCHEMA,
        started_at: "2026-01-01T00:00:00Z".to_owned(),
        command: vec!["harness".to_owned(), "bench".to_owned()],
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
        versions: Default::default(),
        plan,
    }
}

/// Returns the results of the complete run.
pub(crate) fn results() -> Results {
    let mut results = Results {
        run: run(),
        calibrations: Vec::new(),
        starts: Vec::new(),
        attempts: Vec::new(),
        failures: Vec::new(),
        ended_at: Some("2026-01-01T00:00:00Z".to_owned()),
    };
    let calibration = attempt(0, Scenario::Info, 0, LoadModel::Closed);
    results.calibrations.push(calibration);
    for round in 1..=3 {
        for (index, (name, _)) in FIELD.into_iter().enumerate() {
            results.starts.push(start(name, round));
            if (name, round) == ("flask", 2) {
                results.failures.push(Failure {
                    contender: name.to_owned(),
                    round,
                    error: "exited in users-me: signal 9".to_owned(),
                });
                continue;
            }
            for scenario in Scenario::ALL {
                let closed = attempt(index, scenario, round, LoadModel::Closed);
                results.attempts.push(closed);
            }
        }
    }
    for index in 1..FIELD.len() {
        let open = attempt(index, Scenario::Info, 4, LoadModel::Open(RATE));
        results.attempts.push(open);
    }
    results
}

/// Writes the results into a folder, as a run does.
pub(crate) fn write(results: &Results, folder: &Path) {
    let Results {
        run,
        calibrations,
        starts,
        attempts,
        failures,
        ended_at,
    } = results.clone();
    let mut log = Log::begin(folder, run).unwrap();
    let boxed = |attempts: Vec<Attempt>| attempts.into_iter().map(Box::new);
    boxed(calibrations)
        .map(Line::Calibration)
        .chain(starts.into_iter().map(Line::Start))
        .chain(boxed(attempts).map(Line::Attempt))
        .chain(failures.into_iter().map(Line::Failure))
        .chain(ended_at.map(|at| Line::End { at }))
        .for_each(|line| log.append(line).unwrap());
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
        ready_ms: Some(48.0),
        first_ms: BTreeMap::from([(Scenario::Info, 1.5), (Scenario::Catalog, 12.0)]),
        passed: 22,
        failed: match name {
            "robyn" => vec![
                failed("movies/401-bad-signature", "status 401", "status 201"),
                failed("catalog/fresh", "a new product", "an older one"),
            ],
            _ => Vec::new(),
        },
    }
}

fn attempt(index: usize, scenario: Scenario, round: u32, load_model: LoadModel) -> Attempt {
    let (name, capacity) = FIELD[index];
    // Rounds differ by 2 %, in one cell by more than 10 %.
    let change = match (name, scenario) {
        ("gin", Scenario::Movies) => 0.07,
        _ => 0.01,
    };
    let per_cpu_sec = capacity * 1000.0 * (1.0 + change * (f64::from(round) - 2.0));
    let bottleneck = match (name, scenario) {
        ("flask", Scenario::Catalog) => Bottleneck::Waiting,
        ("ceiling", _) => Bottleneck::GeneratorBound,
        _ => Bottleneck::ServerBound,
    };
    let rate = match load_model {
        LoadModel::Closed | LoadModel::Invalid(_) => per_cpu_sec,
        LoadModel::Open(rate) => rate.min(per_cpu_sec),
    };
    let mut attempt = Attempt {
        scenario,
        round,
        load_model,
        bottleneck,
        ..small::attempt(name)
    };
    attempt.measured.requests = (rate * attempt.measured.seconds) as u64;
    attempt.measured.latency = Latency {
        mean_ms: 1e5 / rate,
        p99_ms: 2e5 / rate,
        ..Latency::default()
    };
    attempt.usage.contender.cpu_secs = rate * attempt.measured.seconds / per_cpu_sec;
    attempt.usage.contender.rss_peak_bytes = Some(14 << 20);
    if scenario.has_token() && name != "ceiling" {
        attempt.repeated_cost = Some(0.97);
    }
    if (name, scenario, round) == ("gin", Scenario::UsersMe, 3) {
        let warning = "Little's law: 100 connections, but rate × mean latency is 93.1";
        attempt.warnings.push(warning.to_owned());
    }
    attempt
}
