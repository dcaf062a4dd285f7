//! Reports on runs of a few figures that are known.

use super::super::super::sample::small;
use super::*;
use crate::record::{Attempt, Run};

/// A run in which a request costs so much and memory is so large.
fn run(workers: usize, connections: usize, cpu_us: f64, rss_bytes: u64) -> Results {
    let sample = super::super::super::sample::results();
    let plan = Plan {
        workers,
        connections,
        rounds: 1,
        scenarios: vec![Scenario::Info],
        ..small::plan(&["axum"])
    };
    let mut attempt = Attempt {
        round: 1,
        ..small::attempt("axum")
    };
    attempt.measured.requests = 1000;
    attempt.usage.contender.cpu_secs = Some(cpu_us / 1e3);
    attempt.usage.contender.rss_mean_bytes = Some(rss_bytes);
    let mut results = Results::of(Run { plan, ..sample.run });
    results.attempts.push(attempt);
    results
}

fn scale() -> Scale {
    let runs = vec![
        run(1, 1000, 9.0, 9_216_000),
        run(1, 1, 12.0, 4_000_000),
        run(2, 1, 13.2, 6_000_000),
        run(1, 100, 8.0, 5_001_376),
    ];
    Scale::of(runs).unwrap()
}

#[test]
fn a_row_says_what_a_request_costs_against_the_first_and_what_a_connection_takes() {
    let scale = scale();
    let rows = scale.rows_of(Scenario::Info);
    let points: Vec<_> = rows
        .iter()
        .map(|row| (row.workers, row.connections))
        .collect();
    assert_eq!(points, [(1, 1), (1, 100), (1, 1000), (2, 1)]);
    let ratios = rows
        .iter()
        .map(|row| (row.of_first.unwrap() * 100.0).round());
    assert_eq!(ratios.collect::<Vec<_>>(), [100.0, 67.0, 75.0, 110.0]);
    let bytes: Vec<_> = rows.iter().map(|row| row.bytes_per_connection).collect();
    // Of other workers is no row before.
    assert_eq!(bytes[0], None);
    assert!((bytes[1].unwrap() - 10_114.9).abs() < 0.1, "{bytes:?}");
    assert!((bytes[2].unwrap() - 4682.9).abs() < 0.1, "{bytes:?}");
    assert_eq!(bytes[3], None);
}

#[test]
fn a_connection_takes_nothing_where_the_memory_did_not_grow() {
    let runs = vec![
        run(1, 1, 9.0, 5_000_000),
        run(1, 10, 8.0, 4_900_000),
        run(1, 100, 8.0, 4_900_000),
    ];
    let scale = Scale::of(runs).unwrap();
    let rows = scale.rows();
    assert!(rows.iter().all(|row| row.bytes_per_connection.is_none()));
    let markdown = scale.markdown();
    assert!(!markdown.contains("KiB each"), "{markdown}");
}

#[test]
fn every_form_has_every_row() {
    let scale = scale();
    let markdown = scale.markdown();
    assert!(
        markdown.contains("| axum | 1 | 1,000 | 9.00 | 0.75 |"),
        "{markdown}"
    );
    assert_eq!(scale.csv().unwrap().lines().count(), 1 + 4);
    assert_eq!(scale.text().matches("axum").count(), 4);
    let page = scale.page();
    // A chart of costs and one of memory, for one worker and for two.
    assert_eq!(page.matches("svg class=\"panel\"").count(), 4, "{page}");
    assert!(page.contains("9.00 µs at 1,000 connections"), "{page}");
    let rows: serde_json::Value = serde_json::from_str(&scale.json().unwrap()).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 4);
}

#[test]
fn over_workers_alone_there_is_one_curve_of_them() {
    let runs = vec![run(1, 100, 8.0, 1), run(2, 100, 8.0, 1)];
    let page = Scale::of(runs).unwrap().page();
    assert!(
        page.contains("8.00 µs at 1 workers, 8.00 µs at 2 workers"),
        "{page}"
    );
}

#[test]
fn runs_that_differ_in_more_are_no_scale() {
    let mut other = run(2, 1, 1.0, 1);
    other.run.plan.duration_secs += 1.0;
    assert!(Scale::of(vec![run(1, 1, 1.0, 1), other]).is_err());
    assert!(Scale::of(Vec::new()).is_err());
}
