//! A run of the public harness in our form: what it keeps of its attempts, and of what it does not
//! keep that it is unknown.

mod database;
mod json;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::record::{
    Attempt, Imported, Latency, Line, Machine, Measured, Pace, Plan, Planned, Run, SCHEMA, Sampled,
    Truth, Usage, Verdict,
};
use super::scenario::Scenario;
use super::verdict::{doubts, verdict};

/// Its name on GitHub.
const HARNESS: &str = "RogerThomas/api-benchmarks";

/// Where a checkout of it has its database.
const DATABASE: &str = "results/bench.db";

/// How a file begins that is a database of SQLite.
const SQLITE: &[u8] = b"SQLite format 3\0";

/// Whom its own tables are against.
const BASELINE: &str = "jero";

/// Processor that its compose files give a contender.
const CONTENDER_CPUS: [usize; 1] = [0];

const UNKNOWN: &str = "unknown";

/// A run as it keeps it.
#[derive(Debug, Deserialize)]
struct Kept {
    run_id: String,
    created_at: String,
    hostname: Option<String>,
    vus: usize,
    duration: String,
    best_of: u32,
    workers: usize,
    python_server: Option<String>,
    r#loop: Option<String>,
    ec2_ami_id: Option<String>,
    ec2_instance_type: Option<String>,
    aws_region: Option<String>,
}

/// An attempt as it keeps it.
#[derive(Debug, Deserialize)]
struct Row {
    framework: String,
    test: String,
    attempt: u32,
    reqs_per_sec: f64,
    latency_avg_ms: f64,
    latency_min_ms: Option<f64>,
    latency_p50_ms: Option<f64>,
    latency_p75_ms: Option<f64>,
    latency_p90_ms: Option<f64>,
    latency_p99_ms: f64,
    latency_max_ms: Option<f64>,
    failed_rate: f64,
    total_requests: u64,
    peak_rss_mb: Option<f64>,
    avg_rss_mb: Option<f64>,
    avg_cpu_pct: Option<f64>,
    peak_cpu_pct: Option<f64>,
}

/// The lines of a run in a file, or in a checkout's database: of the only one, or of the one of this
/// name. `command` is what asked for it.
///
/// # Errors
/// There is no such file, it is neither a database nor a JSON file as the public harness writes them,
/// it has no run, or several and none is chosen; the error lists them.
pub fn read(path: &Path, run: Option<&str>, command: Vec<String>) -> Result<Vec<Line>> {
    let path = file_of(path)?;
    let read = || -> Result<_> {
        let (kept, rows) = match begins_as_sqlite(&path)? {
            true => database::read(&path, run)?,
            false => json::read(&path, run)?,
        };
        ensure!(!rows.is_empty(), "run {} has no results", kept.run_id);
        lines(&path, &kept, &rows, command)
    };
    read().with_context(|| format!("importing {}", path.display()))
}

fn file_of(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let database = path.join(DATABASE);
    ensure!(
        database.is_file(),
        "{} has no {DATABASE}: name a folder in which `task bench` has run, a database, or a \
         results.json of its reports",
        path.display()
    );
    Ok(database)
}

fn begins_as_sqlite(path: &Path) -> Result<bool> {
    let mut begin = Vec::new();
    File::open(path)?
        .take(SQLITE.len() as u64)
        .read_to_end(&mut begin)?;
    let is_json = begin.trim_ascii_start().starts_with(b"{");
    ensure!(
        begin == SQLITE || is_json,
        "it is neither a database of SQLite nor a JSON object"
    );
    Ok(!is_json)
}

/// The run of this name, or the only one there is.
fn chosen<'a>(runs: &[&'a str], run: Option<&str>) -> Result<&'a str> {
    let listed = || runs.join(", ");
    match (runs, run) {
        ([], _) => bail!("it has no run"),
        (_, Some(run)) => {
            let found = runs.iter().find(|known| **known == run);
            found
                .copied()
                .with_context(|| format!("it has no run {run}, but {}", listed()))
        }
        ([only], None) => Ok(only),
        _ => bail!("it has several runs, say which with --run: {}", listed()),
    }
}

fn lines(path: &Path, kept: &Kept, rows: &[Row], command: Vec<String>) -> Result<Vec<Line>> {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let run = Run {
        schema: SCHEMA,
        started_at: utc(&kept.created_at)?,
        command,
        commit: None,
        machine: machine(kept),
        versions: BTreeMap::new(),
        plan: plan(kept, rows)?,
        imported: Some(Imported {
            harness: HARNESS.to_owned(),
            file: file.into_owned(),
            run: kept.run_id.clone(),
            notes: notes(kept),
        }),
    };
    let attempts: Result<Vec<_>> = rows.iter().map(|row| attempt(row, &run.plan)).collect();
    let attempts = attempts?.into_iter().map(Box::new).map(Line::Attempt);
    Ok([Line::Run(Box::new(run))]
        .into_iter()
        .chain(attempts)
        .collect())
}

fn plan(kept: &Kept, rows: &[Row]) -> Result<Plan> {
    let mut names: Vec<&str> = Vec::new();
    let mut scenarios = Vec::new();
    for row in rows {
        if !names.contains(&row.framework.as_str()) {
            names.push(&row.framework);
        }
        scenarios.push(scenario(&row.test)?);
    }
    scenarios.sort();
    scenarios.dedup();
    names.sort_by_key(|name| *name != BASELINE);
    let contenders = names.into_iter().map(|name| Planned {
        name: name.to_owned(),
        made_of: String::new(),
        is_limit: false,
        in_container: true,
        deviations: BTreeMap::new(),
    });
    Ok(Plan {
        contenders: contenders.collect(),
        scenarios,
        rounds: kept.best_of,
        duration_secs: humantime::parse_duration(&kept.duration)
            .with_context(|| format!("its duration {:?}", kept.duration))?
            .as_secs_f64(),
        warmup_secs: 0.0,
        connections: kept.vus,
        workers: kept.workers,
        contender_cpus: CONTENDER_CPUS.to_vec(),
        other_cpus: Vec::new(),
        engine: "k6".to_owned(),
        slow_clients: 0,
        upstream_delay_ms: 0.0,
        rates: Vec::new(),
        open_rounds: 1,
    })
}

fn attempt(row: &Row, plan: &Plan) -> Result<Attempt> {
    ensure!(
        row.reqs_per_sec > 0.0 && (0.0..=1.0).contains(&row.failed_rate),
        "{} in {}, attempt {}: {} requests per second, a share of {} failed",
        row.framework,
        row.test,
        row.attempt,
        row.reqs_per_sec,
        row.failed_rate
    );
    let failed = (row.total_requests as f64 * row.failed_rate).round() as u64;
    let requests = row.total_requests.saturating_sub(failed);
    let errors = (failed > 0).then(|| ("failed".to_owned(), failed));
    let bytes = |mebibytes: f64| (mebibytes * f64::from(1 << 20)).round() as u64;
    let sampled = row.avg_cpu_pct.zip(row.peak_cpu_pct);
    let mut attempt = Attempt {
        contender: row.framework.clone(),
        scenario: scenario(&row.test)?,
        round: row.attempt,
        pace: Pace::Closed,
        started_at: None,
        measured: Measured {
            seconds: row.total_requests as f64 / row.reqs_per_sec,
            requests,
            answers_in_all: requests,
            errors: errors.into_iter().collect(),
            bytes: None,
            latency: Latency {
                mean_ms: row.latency_avg_ms,
                min_ms: row.latency_min_ms,
                p50_ms: row.latency_p50_ms,
                p75_ms: row.latency_p75_ms,
                p90_ms: row.latency_p90_ms,
                p95_ms: None,
                p99_ms: row.latency_p99_ms,
                p99_9_ms: None,
                max_ms: row.latency_max_ms,
            },
            per_100_ms: Vec::new(),
        },
        truth: Truth {
            contender: Usage {
                cpu_secs: None,
                rss_peak_bytes: row.peak_rss_mb.map(bytes),
                rss_mean_bytes: row.avg_rss_mb.map(bytes),
                context_switches: None,
            },
            sampled: sampled.map(|(mean, peak)| Sampled {
                mean: mean / 100.0,
                peak: peak / 100.0,
            }),
            ..Truth::default()
        },
        verdict: Verdict::Unknown,
        doubts: Vec::new(),
    };
    attempt.verdict = verdict(&attempt, plan);
    attempt.doubts = doubts(&attempt, plan);
    Ok(attempt)
}

fn scenario(test: &str) -> Result<Scenario> {
    let number = test.strip_prefix("test").and_then(|n| n.parse().ok());
    let known = number.and_then(|n: usize| Scenario::ALL.get(n.checked_sub(1)?));
    known
        .copied()
        .with_context(|| format!("its test {test:?} is none of test1 to test4"))
}

/// What it says of the machine: a name, and what Amazon calls it.
fn machine(kept: &Kept) -> Machine {
    let instance = kept.ec2_instance_type.iter();
    let instance = instance.map(|instance| format!(" (EC2 {instance})"));
    Machine {
        host: kept.hostname.clone().unwrap_or_else(|| UNKNOWN.to_owned()),
        cpu: format!("{UNKNOWN} processor{}", instance.collect::<String>()),
        cores: None,
        kernel: UNKNOWN.to_owned(),
        governor: None,
        memory_bytes: None,
        virtualisation: None,
    }
}

fn notes(kept: &Kept) -> BTreeMap<String, String> {
    let notes = [
        ("Python server", &kept.python_server),
        ("event loop", &kept.r#loop),
        ("machine image", &kept.ec2_ami_id),
        ("instance type", &kept.ec2_instance_type),
        ("region", &kept.aws_region),
    ];
    let known = notes
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
    known.filter(|(_, value)| !value.is_empty()).collect()
}

/// Its times are in UTC and say so or not: `2026-08-14T14:55:37.575505`, or with a space.
fn utc(time: &str) -> Result<String> {
    let seconds = time.get(..19).unwrap_or(time).replace(' ', "T") + "Z";
    humantime::parse_rfc3339(&seconds).with_context(|| format!("its time {time:?}"))?;
    Ok(seconds)
}

#[cfg(test)]
mod tests;
