//! A soak: hours of load with churn and faults in it. What a service holds must not grow, nor its
//! latency, and no answer may be wrong.

use std::fmt::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;

use super::census::Held;
use super::fault::{Fault, Kind, all};
use super::row::{Row, Verdict};
use super::stage::Stage;
use super::{Options, one, usual};
use testbed::terminal::table;

/// The faults that take turns. Postgres is restarted twice in a round: more than ten times in an hour.
/// The contender itself is not restarted, which would hide what grows.
const ROUND: [&str; 10] = [
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

/// Periods of a soak, each a fault and the quiet time after it, unless they became too long or short.
const PERIODS: u32 = 60;

/// Shortest and longest period.
const PERIOD: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(60));

/// Samples that a slope needs: as many count of a short soak too.
const SAMPLES_MIN: usize = 3;

/// Time that a fault lasts.
const FAULT: Duration = Duration::from_secs(1);

/// Share of the samples at the begin that do not count: pools and buffers fill up first, to the most
/// that any fault takes, and some faults need more than one turn for it.
const WARMUP: f64 = 0.5;

/// Growth over the whole soak, as a share of the mean, below which a slope counts as flat.
const FLAT: f64 = 0.05;

/// Half the width of a 95 % interval in standard errors, for more than a few samples.
const WIDTH: f64 = 2.0;

/// What was held at the end of a quiet time, and how fast answers were in it.
#[derive(Clone, Copy, Debug, Serialize)]
struct Sample {
    at_secs: f64,
    #[serde(flatten)]
    held: Held,
    p50_ms: f64,
}

/// How a figure changes with time: per hour, with its 95 % interval.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Slope {
    figure: &'static str,
    mean: f64,
    per_hour: f64,
    low: f64,
    high: f64,
    grows: bool,
}

/// What a soak has shown.
#[derive(Debug, Serialize)]
pub struct Soak {
    contender: String,
    secs: f64,
    requests: u64,
    wrong: u64,
    slopes: Vec<Slope>,
    samples: Vec<Sample>,
    /// What broke, with its fault.
    broken: Vec<Row>,
    faults: usize,
    postgres_restarts: usize,
}

impl Soak {
    /// Whether no fault broke it and nothing grows.
    pub fn holds(&self) -> bool {
        self.broken.is_empty() && !self.slopes.iter().any(|slope| slope.grows)
    }

    /// The report for a terminal.
    pub fn text(&self) -> String {
        let restarts = match self.postgres_restarts {
            0 => String::new(),
            some => format!(", Postgres restarted {some} times"),
        };
        let mut text = format!(
            "{}: {} requests in {:.0} s, {} wrong; {} faults{restarts}\n\n",
            self.contender, self.requests, self.secs, self.wrong, self.faults
        );
        let rows = self.slopes.iter().map(|slope| {
            [
                slope.figure.to_owned(),
                format!("{:.2}", slope.mean),
                format!("{:+.2}", slope.per_hour),
                format!("{:+.2} to {:+.2}", slope.low, slope.high),
                if slope.grows { "GROWS" } else { "flat" }.to_owned(),
            ]
        });
        text += &table(["FIGURE", "MEAN", "PER HOUR", "95 %", "VERDICT"], rows);
        text += "\n\n";
        for row in &self.broken {
            let _ = writeln!(text, "BREAKS {}: {}", row.fault, row.reasons.join("; "));
        }
        let verdict = if self.holds() { "holds" } else { "BREAKS" };
        let _ = writeln!(text, "{} {verdict}", self.contender);
        text
    }
}

/// Soaks the contender of a stage for this time.
///
/// # Errors
/// The process was asked to end, or the harness's own side broke.
pub(super) fn soak(
    stage: &mut Stage<'_>,
    contender: &str,
    time: Duration,
    options: &Options,
    progress: &mut dyn FnMut(&Fault, Option<&Row>),
) -> Result<Soak> {
    let mut faults: Vec<Fault> = ROUND
        .iter()
        .map(|slug| named(slug))
        .collect::<Result<_>>()?;
    faults.retain(|fault| stage.cannot(fault).is_none());
    let quiet = named("none")?;
    let period = (time / PERIODS).clamp(PERIOD.0, PERIOD.1);
    let (mut begin, prompt) = usual(stage)?;
    let begun = Instant::now();
    let mut soak = Soak {
        contender: contender.to_owned(),
        secs: 0.0,
        requests: 0,
        wrong: 0,
        slopes: Vec::new(),
        samples: Vec::new(),
        broken: Vec::new(),
        faults: 0,
        postgres_restarts: 0,
    };
    for fault in faults.iter().cycle() {
        if begun.elapsed() >= time {
            break;
        }
        let until = Instant::now() + period;
        stage.scene.duration = FAULT;
        progress(fault, None);
        let row = one(stage, fault, &mut begin, options, prompt)?;
        progress(fault, Some(&row));
        soak.faults += 1;
        soak.postgres_restarts += usize::from(fault.kind == Kind::PostgresRestarted);
        soak.take(row);
        stage.scene.duration = until.saturating_duration_since(Instant::now()).max(FAULT);
        let row = one(stage, &quiet, &mut begin, options, prompt)?;
        let held = stage.census.as_mut().map(super::census::Census::held);
        soak.samples.push(Sample {
            at_secs: begun.elapsed().as_secs_f64(),
            held: held.unwrap_or_default(),
            p50_ms: row.p50_ms,
        });
        soak.take(row);
    }
    soak.secs = begun.elapsed().as_secs_f64();
    soak.slopes = slopes(&soak.samples);
    Ok(soak)
}

impl Soak {
    fn take(&mut self, row: Row) {
        self.requests += row.counts.sent;
        self.wrong += row.counts.wrong;
        if row.verdict == Verdict::Breaks {
            self.broken.push(row);
        }
    }
}

fn named(slug: &str) -> Result<Fault> {
    let fault = all().into_iter().find(|fault| fault.slug == slug);
    fault.with_context(|| format!("there is no fault {slug}"))
}

fn slopes(samples: &[Sample]) -> Vec<Slope> {
    let warm = (samples.len() as f64 * WARMUP) as usize;
    let warm = warm.min(samples.len().saturating_sub(SAMPLES_MIN));
    let samples = &samples[warm..];
    let of = |figure, value: fn(&Sample) -> f64| {
        let points: Vec<_> = samples
            .iter()
            .map(|sample| (sample.at_secs / 3600.0, value(sample)))
            .collect();
        slope(figure, &points)
    };
    [
        of("memory, MiB", |sample| {
            sample.held.rss_bytes as f64 / f64::from(1 << 20)
        }),
        of("descriptors", |sample| sample.held.descriptors as f64),
        of("threads", |sample| sample.held.threads as f64),
        of("p50, ms", |sample| sample.p50_ms),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// By least squares over (hours, value); none of too few points. It grows if even the lower
/// end of its interval is more than a small share of the mean over the time of all points.
fn slope(figure: &'static str, points: &[(f64, f64)]) -> Option<Slope> {
    let count = points.len() as f64;
    if points.len() < SAMPLES_MIN {
        return None;
    }
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (middle, average) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|(at, _)| (at - middle).powi(2)).sum();
    let together: f64 = points
        .iter()
        .map(|(at, value)| (at - middle) * (value - average))
        .sum();
    let per_hour = together / spread;
    let rest: f64 = points
        .iter()
        .map(|(at, value)| (value - average - per_hour * (at - middle)).powi(2))
        .sum();
    let error = (rest / (count - 2.0) / spread).sqrt();
    let (low, high) = (per_hour - WIDTH * error, per_hour + WIDTH * error);
    let hours = points.last()?.0 - points.first()?.0;
    Some(Slope {
        figure,
        mean: average,
        per_hour,
        low,
        high,
        grows: low * hours > FLAT * average,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_slope_and_no_doubt_about_it() {
        let points: Vec<_> = (0..10)
            .map(|hour| (f64::from(hour), 100.0 + 3.0 * f64::from(hour)))
            .collect();
        let slope = slope("x", &points).unwrap();
        assert!((slope.per_hour - 3.0).abs() < 1e-9, "{slope:?}");
        assert!((slope.high - slope.low).abs() < 1e-6);
        assert!(slope.grows, "27 of 113");
    }

    #[test]
    fn noise_and_what_is_small_do_not_grow() {
        let noise = [100.0, 103.0, 99.0, 102.0, 98.0, 101.0];
        let points: Vec<_> = (0..6)
            .map(|hour| (f64::from(hour), noise[hour as usize]))
            .collect();
        assert!(!slope("x", &points).unwrap().grows);
        let small: Vec<_> = (0..10)
            .map(|hour| (f64::from(hour), 100.0 + 0.3 * f64::from(hour)))
            .collect();
        assert!(!slope("x", &small).unwrap().grows);
        assert_eq!(slope("x", &points[..2]), None);
    }

    #[test]
    fn a_round_is_of_faults_that_there_are() {
        for slug in ROUND {
            assert!(named(slug).is_ok(), "{slug}");
        }
    }
}
