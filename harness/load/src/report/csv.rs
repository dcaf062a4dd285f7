//! Every attempt as a row, for spreadsheets and other programs.

use anyhow::{Context, Result};
use serde::Serialize;

use super::super::record::{Attempt, Pace};
use super::super::results::Results;
use super::super::scenario::Scenario;

/// Units are in the names. A missing figure is an empty field.
#[derive(Serialize)]
struct Row<'a> {
    kind: &'static str,
    contender: &'a str,
    scenario: Scenario,
    round: u32,
    pace: &'static str,
    asked_per_sec: Option<f64>,
    started_at: Option<&'a str>,
    bottleneck: &'static str,
    seconds: f64,
    requests: u64,
    errors: u64,
    requests_per_sec: f64,
    cpu_us_per_request: Option<f64>,
    mean_ms: f64,
    min_ms: Option<f64>,
    p50_ms: Option<f64>,
    p75_ms: Option<f64>,
    p90_ms: Option<f64>,
    p95_ms: Option<f64>,
    p99_ms: f64,
    p99_9_ms: Option<f64>,
    max_ms: Option<f64>,
    contender_cpu_secs: Option<f64>,
    generator_cpu_secs: Option<f64>,
    upstream_cpu_secs: Option<f64>,
    postgres_cpu_secs: Option<f64>,
    contender_sampled_cpus_mean: Option<f64>,
    contender_sampled_cpus_peak: Option<f64>,
    contender_rss_peak_bytes: Option<u64>,
    contender_rss_mean_bytes: Option<u64>,
    contender_context_switches: Option<u64>,
    contender_cpus_idle_share: Option<f64>,
    other_cpus_idle_share: Option<f64>,
    steal_share: Option<f64>,
    foreign_share: Option<f64>,
    load_1min: Option<f64>,
    served: Option<u64>,
    upstream_in_flight: Option<f64>,
    response_bytes: Option<u64>,
    warnings: String,
}

/// The table.
pub(super) fn table(results: &Results) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let calibrations = results
        .calibrations
        .iter()
        .map(|attempt| row("calibration", attempt));
    let attempts = results
        .attempts
        .iter()
        .map(|attempt| row("attempt", attempt));
    for row in calibrations.chain(attempts) {
        writer
            .serialize(row)
            .context("writing a row of results.csv")?;
    }
    let bytes = writer.into_inner().context("writing results.csv")?;
    String::from_utf8(bytes).context("writing results.csv")
}

fn row<'a>(kind: &'static str, attempt: &'a Attempt) -> Row<'a> {
    let Attempt {
        measured, usage, ..
    } = attempt;
    let latency = &measured.latency;
    let (pace, asked_per_sec) = match attempt.pace {
        Pace::Closed => ("closed", None),
        Pace::Open(rate) => ("open", Some(rate)),
    };
    Row {
        kind,
        contender: &attempt.contender,
        scenario: attempt.scenario,
        round: attempt.round,
        pace,
        asked_per_sec,
        started_at: attempt.started_at.as_deref(),
        bottleneck: attempt.bottleneck.name(),
        seconds: measured.seconds,
        requests: measured.requests,
        errors: measured.error_count(),
        requests_per_sec: measured.requests_per_sec(),
        cpu_us_per_request: attempt.cpu_us_per_request(),
        mean_ms: latency.mean_ms,
        min_ms: latency.min_ms,
        p50_ms: latency.p50_ms,
        p75_ms: latency.p75_ms,
        p90_ms: latency.p90_ms,
        p95_ms: latency.p95_ms,
        p99_ms: latency.p99_ms,
        p99_9_ms: latency.p99_9_ms,
        max_ms: latency.max_ms,
        contender_cpu_secs: usage.contender.cpu_secs,
        generator_cpu_secs: usage.generator.cpu_secs,
        upstream_cpu_secs: usage.upstream.cpu_secs,
        postgres_cpu_secs: usage.postgres.cpu_secs,
        contender_sampled_cpus_mean: usage.sampled.map(|sampled| sampled.mean),
        contender_sampled_cpus_peak: usage.sampled.map(|sampled| sampled.peak),
        contender_rss_peak_bytes: usage.contender.rss_peak_bytes,
        contender_rss_mean_bytes: usage.contender.rss_mean_bytes,
        contender_context_switches: usage.contender.context_switches,
        contender_cpus_idle_share: usage.contender_cpus_idle,
        other_cpus_idle_share: usage.other_cpus_idle,
        steal_share: usage.steal,
        foreign_share: usage.foreign,
        load_1min: usage.load_1min,
        served: usage.served,
        upstream_in_flight: usage.upstream_in_flight,
        response_bytes: measured.bytes,
        warnings: attempt.warnings.join("; "),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::sample;
    use super::*;

    #[test]
    fn every_attempt_is_a_row() {
        let results = sample::results();
        let table = table(&results).unwrap();
        let mut reader = csv::Reader::from_reader(table.as_bytes());
        let header = reader.headers().unwrap().clone();
        let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert_eq!(
            rows.len(),
            results.calibrations.len() + results.attempts.len()
        );
        let field = |row: &csv::StringRecord, name: &str| {
            let index = header.iter().position(|column| column == name).unwrap();
            row[index].to_owned()
        };
        let first = &rows[results.calibrations.len()];
        assert_eq!(field(first, "kind"), "attempt");
        assert_eq!(field(first, "contender"), "limit");
        assert_eq!(field(first, "scenario"), "info");
        assert_eq!(field(first, "pace"), "closed");
        assert_eq!(field(first, "asked_per_sec"), "");
        assert_eq!(field(first, "bottleneck"), "generator-bound");
        // 10 s of one processor at 88 per cent, for as many requests as that makes.
        let own = results.closed().next().unwrap();
        let cpu_secs = own.usage.contender.cpu_secs.unwrap();
        let cost = cpu_secs * 1e6 / own.measured.requests as f64;
        assert_eq!(field(first, "cpu_us_per_request"), cost.to_string());
    }

    #[test]
    fn what_has_commas_and_quotes_stays_in_its_field() {
        let mut results = sample::results();
        results.attempts.truncate(1);
        results.calibrations.clear();
        results.attempts[0].warnings = vec!["a, \"b\"".to_owned(), "c".to_owned()];
        let table = table(&results).unwrap();
        assert!(table.ends_with(",\"a, \"\"b\"\"; c\"\n"), "{table}");
    }
}
