//! A contender in a scenario: what its attempts add up to.

use std::collections::BTreeMap;

use serde::Serialize;

use super::record::{Attempt, Bottleneck, Planned, ResourceUsage, Usage};
use super::results::Results;
use super::scenario::Scenario;
use super::score::Figures;
use super::statistics::{Estimate, median};

/// A spread of rounds above this is said so.
pub const WIDE_SPREAD: f64 = 0.10;

/// A contender in a scenario.
#[derive(Clone, Debug, Serialize)]
pub struct Cell<'a> {
    /// The contender.
    pub contender: &'a Planned,
    /// Its attempts in closed loop.
    #[serde(skip)]
    pub attempts: Vec<&'a Attempt>,
    /// How many checks it failed; it is not ranked if it is one.
    pub failed_checks: usize,
    /// Of all its attempts: see [`combined`]. None if there is none.
    pub bottleneck: Option<Bottleneck>,
    /// The primary figure.
    pub cpu_us_per_request: Option<Estimate>,
    /// Right answers per second.
    pub requests_per_sec: Option<Estimate>,
    /// Mean latency.
    pub mean_ms: Option<Estimate>,
    /// 99th percentile of the latency.
    pub p99_ms: Option<Estimate>,
    /// Largest resident memory of any attempt, in bytes.
    pub rss_peak_bytes: Option<u64>,
    /// Median of the attempts' mean resident memory, in bytes.
    pub rss_mean_bytes: Option<u64>,
    /// What a request costs whom.
    pub split: Option<Split>,
    /// Rank by processor time per request: of all that passed their checks.
    pub cpu_rank: Option<usize>,
    /// Rank by requests per second: of those that are server-bound too.
    pub rate_rank: Option<usize>,
    /// The limit's processor time per request as a share of its own.
    pub of_limit: Option<f64>,
    /// The score of the medians against the baseline.
    pub vs_all: Option<f64>,
    /// The attempt with the most requests per second: what the published rules look at.
    pub best: Option<Figures>,
    /// The score of the best attempt against the baseline's best.
    pub best_vs_all: Option<f64>,
}

/// Processor time per right answer in microseconds, medians of the attempts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Split {
    /// The contender's.
    pub contender_us: f64,
    /// The engine's.
    pub generator_us: f64,
    /// The upstream's.
    pub upstream_us: f64,
    /// Postgres's.
    pub postgres_us: f64,
}

/// The bottleneck of several attempts: server-bound only if all of them are; errors if there is one
/// with errors; else the most frequent of the others, and of equally frequent ones the graver.
#[must_use]
pub fn combined(bottlenecks: &[Bottleneck]) -> Option<Bottleneck> {
    let mut counts = BTreeMap::new();
    for bottleneck in bottlenecks {
        *counts.entry(*bottleneck).or_insert(0_usize) += 1;
    }
    if counts.contains_key(&Bottleneck::Errors) {
        return Some(Bottleneck::Errors);
    }
    let others = counts
        .iter()
        .filter(|(bottleneck, _)| **bottleneck != Bottleneck::ServerBound);
    let most = others.max_by_key(|(bottleneck, count)| (**count, **bottleneck));
    match most {
        Some((bottleneck, _)) => Some(*bottleneck),
        None => bottlenecks.first().copied(),
    }
}

impl<'a> Cell<'a> {
    pub(super) fn of(results: &'a Results, contender: &'a Planned, scenario: Scenario) -> Self {
        let attempts: Vec<_> = results
            .closed()
            .filter(|attempt| attempt.scenario == scenario && attempt.contender == contender.name)
            .collect();
        let bottlenecks: Vec<_> = attempts.iter().map(|attempt| attempt.bottleneck).collect();
        let answered = attempts
            .iter()
            .copied()
            .filter(|attempt| attempt.measured.requests > 0);
        let answered: Vec<_> = answered.collect();
        let estimate = |figure: fn(&Attempt) -> f64| {
            let values: Vec<_> = answered.iter().map(|attempt| figure(attempt)).collect();
            Estimate::of(&values)
        };
        let rss = |figure: fn(&Usage) -> Option<u64>| {
            let attempts = attempts.iter();
            attempts.filter_map(move |attempt| figure(&attempt.usage.contender))
        };
        let rss_means: Vec<_> = rss(|usage| usage.rss_mean_bytes)
            .map(|bytes| bytes as f64)
            .collect();
        Self {
            contender,
            failed_checks: results.failed_checks(&contender.name).len(),
            bottleneck: combined(&bottlenecks),
            cpu_us_per_request: estimate(|attempt| {
                attempt.cpu_us_per_request().unwrap_or(f64::NAN)
            }),
            requests_per_sec: estimate(|attempt| attempt.measured.requests_per_sec()),
            mean_ms: estimate(|attempt| attempt.measured.latency.mean_ms),
            p99_ms: estimate(|attempt| attempt.measured.latency.p99_ms),
            rss_peak_bytes: rss(|usage| usage.rss_peak_bytes).max(),
            rss_mean_bytes: median(&rss_means).map(|bytes| bytes as u64),
            split: Split::of(&answered),
            cpu_rank: None,
            rate_rank: None,
            of_limit: None,
            vs_all: None,
            best: best(&answered),
            best_vs_all: None,
            attempts,
        }
    }

    /// Whether all its attempts were at the contender's own limit.
    #[must_use]
    pub fn is_server_bound(&self) -> bool {
        self.bottleneck == Some(Bottleneck::ServerBound)
    }

    /// The limit and who failed a check are not.
    pub(super) fn may_be_ranked(&self) -> bool {
        !self.contender.is_ceiling && self.failed_checks == 0
    }

    /// Why it has no rank by requests per second, in a word or two.
    #[must_use]
    pub fn unranked_because(&self) -> Option<String> {
        let bound = match self.bottleneck {
            Some(Bottleneck::ServerBound) => None,
            Some(bottleneck) => Some(bottleneck.name()),
            None => Some("not measured"),
        };
        match (self.failed_checks, bound) {
            (0, None) if self.contender.is_ceiling => Some("limit".to_owned()),
            (0, Some(bound)) if self.contender.is_ceiling => Some(format!("limit, {bound}")),
            (0, bound) => bound.map(str::to_owned),
            (1, _) => Some("failed a check".to_owned()),
            (failed, _) => Some(format!("failed {failed} checks")),
        }
    }

    /// How far its attempts are apart: by processor time per request, and where they are server-bound
    /// by requests per second too; the larger counts.
    #[must_use]
    pub fn spread(&self) -> Option<f64> {
        let rate = self.requests_per_sec.filter(|_| self.is_server_bound());
        let both = [self.cpu_us_per_request, rate];
        let spreads = both.iter().flatten().map(Estimate::spread);
        spreads.max_by(f64::total_cmp)
    }

    /// Whether its attempts are too far apart to be trusted.
    #[must_use]
    pub fn is_wide(&self) -> bool {
        self.spread().is_some_and(|spread| spread > WIDE_SPREAD)
    }

    pub(super) fn cpu_us(&self) -> Option<f64> {
        self.cpu_us_per_request.map(|estimate| estimate.median)
    }

    pub(super) fn medians(&self) -> Option<Figures> {
        Some(Figures {
            requests_per_sec: self.requests_per_sec?.median,
            mean_ms: self.mean_ms?.median,
            p99_ms: self.p99_ms?.median,
        })
    }
}

/// The attempt with the most requests per second.
fn best(attempts: &[&Attempt]) -> Option<Figures> {
    let figures = attempts.iter().map(|attempt| Figures {
        requests_per_sec: attempt.measured.requests_per_sec(),
        mean_ms: attempt.measured.latency.mean_ms,
        p99_ms: attempt.measured.latency.p99_ms,
    });
    figures.max_by(|one, other| one.requests_per_sec.total_cmp(&other.requests_per_sec))
}

impl Split {
    fn of(attempts: &[&Attempt]) -> Option<Self> {
        let per_request = |usage: fn(&ResourceUsage) -> &Usage| {
            let values = attempts
                .iter()
                .filter_map(|attempt| attempt.us_per_request(usage(&attempt.usage)));
            median(&values.collect::<Vec<_>>())
        };
        Some(Self {
            contender_us: per_request(|usage| &usage.contender)?,
            generator_us: per_request(|usage| &usage.generator)?,
            upstream_us: per_request(|usage| &usage.upstream)?,
            postgres_us: per_request(|usage| &usage.postgres)?,
        })
    }

    /// All of it.
    #[must_use]
    pub fn total_us(&self) -> f64 {
        self.contender_us + self.generator_us + self.upstream_us + self.postgres_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_attempt_that_is_not_server_bound_takes_its_cell_with_it() {
        use Bottleneck::{Errors, GeneratorBound, Noisy, ServerBound, Waiting};
        assert_eq!(combined(&[ServerBound, ServerBound]), Some(ServerBound));
        assert_eq!(combined(&[ServerBound, ServerBound, Noisy]), Some(Noisy));
        assert_eq!(combined(&[Waiting, Waiting, Noisy]), Some(Waiting));
        assert_eq!(combined(&[Waiting, GeneratorBound]), Some(Waiting));
        assert_eq!(combined(&[Waiting, Waiting, Errors]), Some(Errors));
        assert_eq!(combined(&[]), None);
    }
}
