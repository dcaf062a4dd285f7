//! A plan and an attempt that say as little as can be, for tests of single figures.

use std::collections::BTreeMap;

use crate::record::{Attempt, Bottleneck, LoadModel, Measured, Plan, Planned, ResourceUsage};
use crate::scenario::Scenario;
use testbed::contender::Category;

/// Three rounds of ten seconds on two processors; the one of this name is the ceiling.
pub(crate) fn plan(names: &[&str]) -> Plan {
    let planned = names.iter().map(|name| Planned {
        name: (*name).to_owned(),
        made_of: "Rust 1.95".to_owned(),
        category: match *name {
            "ceiling" => Category::Ceiling,
            _ => Category::Standard,
        },
        in_container: false,
        deviations: BTreeMap::new(),
    });
    Plan {
        contenders: planned.collect(),
        scenarios: Scenario::ALL.to_vec(),
        rounds: 3,
        duration_secs: 10.0,
        warmup_secs: 2.0,
        connections: 100,
        workers: 1,
        contender_cpus: vec![0],
        other_cpus: vec![1],
        cpu_quota: None,
        engine: "builtin".to_owned(),
        invalid: 0.0,
        rates: Vec::new(),
    }
}

/// Ten seconds of `GET /info` in closed loop, 10,000 requests per second, nobody at the limit.
pub(crate) fn attempt(contender: &str) -> Attempt {
    let mut attempt = Attempt {
        contender: contender.to_owned(),
        scenario: Scenario::Info,
        round: 1,
        load_model: LoadModel::Closed,
        started_at: "2026-01-01T00:00:00Z".to_owned(),
        measured: Measured {
            seconds: 10.0,
            requests: 100_000,
            answers_in_all: 110_000,
            ..Measured::default()
        },
        usage: ResourceUsage {
            contender_cpus_idle: 0.5,
            other_cpus_idle: 0.5,
            ..ResourceUsage::default()
        },
        bottleneck: Bottleneck::Waiting,
        repeated_cost: None,
        warnings: Vec::new(),
    };
    attempt.measured.latency.mean_ms = 10.0;
    attempt
}
