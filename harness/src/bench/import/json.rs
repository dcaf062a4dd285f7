//! The two JSON files of the public harness: `reports/*/results.json` with every attempt, and the
//! older `results/report-*.json`, which keeps all figures of the best attempt only.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{Kept, Row, chosen};

#[derive(Deserialize)]
struct File {
    run: Kept,
    results: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OlderFile {
    timestamp: String,
    python_server: Option<String>,
    vus: usize,
    duration: String,
    workers: usize,
    runs: Vec<OlderRow>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OlderRow {
    framework: String,
    test: String,
    total_requests: u64,
    failed_rate: f64,
    reqs_per_sec: f64,
    latency_ms: OlderLatency,
    peak_rss_mb: Option<f64>,
    avg_rss_mb: Option<f64>,
    avg_cpu_pct: Option<f64>,
    peak_cpu_pct: Option<f64>,
}

#[derive(Deserialize)]
struct OlderLatency {
    avg: f64,
    min: Option<f64>,
    med: Option<f64>,
    max: Option<f64>,
    p75: Option<f64>,
    p90: Option<f64>,
    p99: f64,
}

/// The run of a file, which must be the one of this name if one is named.
pub(super) fn read(path: &Path, run: Option<&str>) -> Result<(Kept, Vec<Row>)> {
    let text = fs::read(path)?;
    let value: serde_json::Value = serde_json::from_slice(&text).context("reading its JSON")?;
    let is_older = value.get("runs").is_some();
    let (kept, rows) = if is_older {
        let older = serde_json::from_value(value)
            .context("reading it as results/report-*.json: timestamp, vus, duration, runs, …")?;
        of_older(older)?
    } else {
        let File { run, results } = serde_json::from_value(value)
            .context("reading it as reports/*/results.json: an object with run and results")?;
        (run, results)
    };
    chosen(&[&kept.run_id], run)?;
    Ok((kept, rows))
}

fn of_older(file: OlderFile) -> Result<(Kept, Vec<Row>)> {
    let kept = Kept {
        created_at: time(&file.timestamp)
            .with_context(|| format!("its timestamp {:?}", file.timestamp))?,
        run_id: file.timestamp,
        hostname: None,
        vus: file.vus,
        duration: file.duration,
        best_of: 1,
        workers: file.workers,
        python_server: file.python_server,
        r#loop: None,
        ec2_ami_id: None,
        ec2_instance_type: None,
        aws_region: None,
    };
    let rows = file.runs.into_iter().map(|row| Row {
        framework: row.framework,
        test: row.test,
        attempt: 1,
        reqs_per_sec: row.reqs_per_sec,
        latency_avg_ms: row.latency_ms.avg,
        latency_min_ms: row.latency_ms.min,
        latency_p50_ms: row.latency_ms.med,
        latency_p75_ms: row.latency_ms.p75,
        latency_p90_ms: row.latency_ms.p90,
        latency_p99_ms: row.latency_ms.p99,
        latency_max_ms: row.latency_ms.max,
        failed_rate: row.failed_rate,
        total_requests: row.total_requests,
        peak_rss_mb: row.peak_rss_mb,
        avg_rss_mb: row.avg_rss_mb,
        avg_cpu_pct: row.avg_cpu_pct,
        peak_cpu_pct: row.peak_cpu_pct,
    });
    Ok((kept, rows.collect()))
}

/// `20260715T090602` as `2026-07-15T09:06:02`.
fn time(timestamp: &str) -> Option<String> {
    let part = |from: usize, to: usize| timestamp.get(from..to);
    Some(format!(
        "{}-{}-{}T{}:{}:{}",
        part(0, 4)?,
        part(4, 6)?,
        part(6, 8)?,
        part(9, 11)?,
        part(11, 13)?,
        part(13, 15)?
    ))
}
