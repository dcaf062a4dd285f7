//! A soak: hours of load with churn and faults. The service's resources and its latency must not
//! grow, and no response may be wrong.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;
use testbed::table;

use crate::experiment::Experiment;
use crate::fault::{Fault, Kind, named};
use crate::monitor::{ResourceMonitor, Usage};
use crate::result::{FaultResult, Verdict};
use crate::{Options, Progress};

/// Faults that are injected in turn. Postgres is restarted twice a cycle, more than ten times an
/// hour. The contender itself is not restarted: a restart would hide growth.
const CYCLE: [&str; 10] = [
    "postgres/restarted",
    "clients/churn",
    "upstream/reset",
    "postgres/terminated",
    "clients/slow-bodies",
    "postgres/restarted",
    "upstream/truncate",
    "clients/never-read",
    "upstream/restarted",
    "postgres/half-closed",
];

/// Number of periods, each a fault and the time without a fault after it.
const PERIODS: u32 = 60;

/// Shortest and longest period.
const PERIOD: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(60));

/// Duration of each fault.
const FAULT_DURATION: Duration = Duration::from_secs(1);

/// Fewest samples for a slope.
const SAMPLES_MIN: usize = 3;

/// Share of the samples that is discarded as warm-up: pools and buffers first grow to the most that
/// any fault needs, some only at its second turn.
const WARMUP_SHARE: f64 = 0.5;

/// Growth over the whole soak, as a share of the mean, below which a slope counts as flat.
const FLAT_SHARE: f64 = 0.05;

/// Half width of a 95 % confidence interval in standard errors.
const INTERVAL_ERRORS: f64 = 2.0;

/// Resources and latency at the end of a time without a fault.
#[derive(Clone, Copy, Debug, Serialize)]
struct Sample {
    at_secs: f64,
    #[serde(flatten)]
    usage: Usage,
    p50_ms: f64,
}

/// The growth of a metric per hour, with its 95 % confidence interval.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Slope {
    metric: &'static str,
    mean: f64,
    per_hour: f64,
    low: f64,
    high: f64,
    grows: bool,
}

/// The result of a soak.
#[derive(Debug, Serialize)]
pub struct Soak {
    contender: String,
    duration_secs: f64,
    requests: u64,
    wrong: u64,
    slopes: Vec<Slope>,
    samples: Vec<Sample>,
    /// The faults that failed.
    failed: Vec<FaultResult>,
    faults: usize,
    postgres_restarts: usize,
}

impl Soak {
    /// Returns true if no fault failed and nothing grows.
    pub fn passed(&self) -> bool {
        self.failed.is_empty() && !self.slopes.iter().any(|slope| slope.grows)
    }

    /// Renders the report for a terminal.
    pub fn text(&self) -> String {
        let restarts = match self.postgres_restarts {
            0 => String::new(),
            count => format!(", Postgres restarted {count} times"),
        };
        let rows = self.slopes.iter().map(|slope| {
            [
                slope.metric.to_owned(),
                format!("{:.2}", slope.mean),
                format!("{:+.2}", slope.per_hour),
                format!("{:+.2} to {:+.2}", slope.low, slope.high),
                if slope.grows { "GROWS" } else { "flat" }.to_owned(),
            ]
        });
        let slopes = table::texts(["METRIC", "MEAN", "PER HOUR", "95 % CI", "VERDICT"], rows);
        let failed = self
            .failed
            .iter()
            .map(|result| format!("FAILED {}: {}\n", result.fault, result.reasons.join("; ")));
        format!(
            "{}: {} requests in {:.0} s, {} wrong; {} faults{restarts}\n\n{slopes}\n\n{}{} {}\n",
            self.contender,
            self.requests,
            self.duration_secs,
            self.wrong,
            self.faults,
            failed.collect::<String>(),
            self.contender,
            if self.passed() { "passed" } else { "FAILED" }
        )
    }

    fn add(&mut self, result: FaultResult) {
        self.requests += result.counts.sent;
        self.wrong += result.counts.wrong;
        if result.verdict == Verdict::Failed {
            self.failed.push(result);
        }
    }
}

/// Soaks the contender for the options' duration.
///
/// # Errors
/// The run was interrupted, or the harness itself failed.
pub(crate) fn soak(
    experiment: &mut Experiment<'_>,
    contender: &str,
    options: &Options,
    progress: &mut Progress<'_>,
) -> Result<Soak> {
    let mut faults = CYCLE.map(fault).into_iter().collect::<Result<Vec<_>>>()?;
    faults.retain(|fault| experiment.inapplicable(fault).is_none());
    let no_fault = fault("none")?;
    let period = (options.duration / PERIODS).clamp(PERIOD.0, PERIOD.1);
    let (mut begin, prompt) = experiment.warm_up()?;
    let begun = Instant::now();
    let mut soak = Soak {
        contender: contender.to_owned(),
        duration_secs: 0.0,
        requests: 0,
        wrong: 0,
        slopes: Vec::new(),
        samples: Vec::new(),
        failed: Vec::new(),
        faults: 0,
        postgres_restarts: 0,
    };
    for fault in faults.iter().cycle() {
        if begun.elapsed() >= options.duration {
            break;
        }
        let until = Instant::now() + period;
        experiment.controls.duration = FAULT_DURATION;
        progress(fault, None);
        let result = experiment.inject_one(fault, &mut begin, options.recovery, prompt)?;
        progress(fault, Some(&result));
        soak.faults += 1;
        soak.postgres_restarts += usize::from(fault.kind == Kind::PostgresRestarted);
        soak.add(result);
        let left = until.saturating_duration_since(Instant::now());
        experiment.controls.duration = left.max(FAULT_DURATION);
        let result = experiment.inject_one(&no_fault, &mut begin, options.recovery, prompt)?;
        let usage = experiment.monitor.as_mut().map(ResourceMonitor::usage);
        soak.samples.push(Sample {
            at_secs: begun.elapsed().as_secs_f64(),
            usage: usage.unwrap_or_default(),
            p50_ms: result.p50_ms,
        });
        soak.add(result);
    }
    soak.duration_secs = begun.elapsed().as_secs_f64();
    soak.slopes = slopes(&soak.samples);
    Ok(soak)
}

fn fault(slug: &str) -> Result<Fault> {
    named(slug).with_context(|| format!("there is no fault {slug}"))
}

fn slopes(samples: &[Sample]) -> Vec<Slope> {
    let warm = (samples.len() as f64 * WARMUP_SHARE) as usize;
    let samples = &samples[warm.min(samples.len().saturating_sub(SAMPLES_MIN))..];
    type Metric = (&'static str, fn(&Sample) -> f64);
    let metrics: [Metric; 4] = [
        ("memory, MiB", |sample| {
            sample.usage.rss_bytes as f64 / f64::from(1 << 20)
        }),
        ("descriptors", |sample| sample.usage.descriptors as f64),
        ("threads", |sample| sample.usage.threads as f64),
        ("p50, ms", |sample| sample.p50_ms),
    ];
    let points = |value: fn(&Sample) -> f64| {
        let points = samples.iter();
        let points = points.map(|sample| (sample.at_secs / 3600.0, value(sample)));
        points.collect::<Vec<_>>()
    };
    let slopes = metrics.map(|(metric, value)| slope(metric, &points(value)));
    slopes.into_iter().flatten().collect()
}

/// Fits a line through (hours, value) by least squares; none for too few points. The metric grows
/// if the low end of the interval is more than a small share of the mean over the whole time.
fn slope(metric: &'static str, points: &[(f64, f64)]) -> Option<Slope> {
    if points.len() < SAMPLES_MIN {
        return None;
    }
    let count = points.len() as f64;
    let mean_hours = points.iter().map(|(hours, _)| hours).sum::<f64>() / count;
    let mean = points.iter().map(|(_, value)| value).sum::<f64>() / count;
    let sum = |term: &dyn Fn(f64, f64) -> f64| -> f64 {
        let points = points.iter();
        points
            .map(|(hours, value)| term(hours - mean_hours, value - mean))
            .sum()
    };
    let variation = sum(&|hours, _| hours.powi(2));
    let per_hour = sum(&|hours, value| hours * value) / variation;
    let residuals = sum(&|hours, value| (value - per_hour * hours).powi(2));
    let error = (residuals / (count - 2.0) / variation).sqrt();
    let low = per_hour - INTERVAL_ERRORS * error;
    let total_hours = points.last()?.0 - points.first()?.0;
    Some(Slope {
        metric,
        mean,
        per_hour,
        low,
        high: per_hour + INTERVAL_ERRORS * error,
        grows: low * total_hours > FLAT_SHARE * mean,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(per_hour: f64) -> Vec<(f64, f64)> {
        let hours = (0..10).map(f64::from);
        hours.map(|hour| (hour, 100.0 + per_hour * hour)).collect()
    }

    #[test]
    fn straight_line_has_an_exact_slope() {
        let slope = slope("x", &line(3.0)).unwrap();
        assert!((slope.per_hour - 3.0).abs() < 1e-9, "{slope:?}");
        assert!((slope.high - slope.low).abs() < 1e-6);
        assert!(slope.grows, "27 of 113");
    }

    #[test]
    fn noise_and_small_slopes_are_flat() {
        let noise = [100.0, 103.0, 99.0, 102.0, 98.0, 101.0];
        let points: Vec<_> = (0..6).map(f64::from).zip(noise).collect();
        assert!(!slope("x", &points).unwrap().grows);
        assert!(!slope("x", &line(0.3)).unwrap().grows);
        assert_eq!(slope("x", &points[..2]), None);
    }

    #[test]
    fn cycle_names_existing_faults() {
        for slug in CYCLE {
            assert!(named(slug).is_some(), "{slug}");
        }
    }
}
