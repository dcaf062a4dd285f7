//! A cell of the standings: the attempts of a contender in a scenario, at one number of workers and
//! connections.

use std::collections::BTreeMap;

use super::record::{Attempt, Bottleneck, LoadModel, Planned, Point};
use super::results::Results;
use super::scenario::Scenario;
use super::score::Metrics;
use super::statistics::Estimate;

/// Attempts with a larger spread get a warning.
const WIDE_SPREAD: f64 = 0.10;

/// A contender in a scenario, in closed loop.
#[derive(Clone, Debug)]
pub(crate) struct Cell<'a> {
    pub(crate) contender: &'a Planned,
    pub(crate) scenario: Scenario,
    pub(crate) point: Point,
    /// Number of attempts, with those without a correct response.
    pub(crate) attempts: usize,
    /// False for a contender that runs elsewhere, without its dependencies.
    pub(crate) is_checked: bool,
    /// Number of failed checks: with one of them the contender is not ranked.
    pub(crate) failed_checks: usize,
    /// None without an attempt.
    pub(crate) bottleneck: Option<Bottleneck>,
    /// The primary metric.
    pub(crate) cpu_us_per_request: Option<Estimate>,
    pub(crate) requests_per_sec: Option<Estimate>,
    pub(crate) mean_ms: Option<Estimate>,
    pub(crate) p99_ms: Option<Estimate>,
    /// CPU time of repeated requests as a share of that of unique ones.
    pub(crate) repeated_cost: Option<Estimate>,
    /// CPU time per refused request, where invalid ones were mixed in.
    pub(crate) cpu_us_per_refusal: Option<Estimate>,
    /// Maximum resident memory of all attempts.
    pub(crate) rss_peak_bytes: Option<u64>,
    /// Rank by CPU time per request among all that passed their checks.
    pub(crate) cpu_rank: Option<usize>,
    /// Rank by requests per second among those that are server-bound too.
    pub(crate) rate_rank: Option<usize>,
    /// The ceiling's CPU time per request as a share of the contender's.
    pub(crate) of_ceiling: Option<f64>,
    /// Score of the medians relative to the baseline.
    pub(crate) vs_all: Option<f64>,
}

/// Combines the bottlenecks of several attempts: server-bound only if all are; errors or not
/// comparable if one is; else the most frequent of the others, and of equally frequent ones the more serious.
pub(crate) fn combined(bottlenecks: &[Bottleneck]) -> Option<Bottleneck> {
    for invalid in [Bottleneck::Errors, Bottleneck::NotComparable] {
        if bottlenecks.contains(&invalid) {
            return Some(invalid);
        }
    }
    let mut counts = BTreeMap::new();
    for bottleneck in bottlenecks {
        *counts.entry(*bottleneck).or_insert(0_usize) += 1;
    }
    let server_bound = counts.remove(&Bottleneck::ServerBound);
    let most = counts
        .into_iter()
        .max_by_key(|(kind, count)| (*count, *kind));
    most.map(|(kind, _)| kind)
        .or_else(|| server_bound.map(|_| Bottleneck::ServerBound))
}

impl<'a> Cell<'a> {
    /// Combines the attempts of a contender in a scenario, without ranks and scores.
    pub(crate) fn new(results: &'a Results, contender: &'a Planned, scenario: Scenario) -> Self {
        let attempts: Vec<_> = results
            .closed()
            .filter(|attempt| attempt.scenario == scenario && attempt.contender == contender.name)
            .collect();
        let bottlenecks: Vec<_> = attempts.iter().map(|attempt| attempt.bottleneck).collect();
        let estimate = |metric: &dyn Fn(&Attempt) -> Option<f64>| {
            let answered = attempts
                .iter()
                .filter(|attempt| attempt.measured.requests > 0);
            let values: Vec<_> = answered.filter_map(|attempt| metric(attempt)).collect();
            Estimate::new(&values)
        };
        let peaks = attempts.iter();
        let cpu_us_per_request = estimate(&Attempt::cpu_us_per_request);
        let invalid = results.attempts.iter().filter(|attempt| {
            matches!(attempt.load_model, LoadModel::Invalid(_))
                && attempt.scenario == scenario
                && attempt.contender == contender.name
        });
        let refusals = cpu_us_per_request.map(|valid| {
            let values = invalid.filter_map(|attempt| attempt.cpu_us_per_refusal(valid.median));
            values.collect::<Vec<_>>()
        });
        Self {
            contender,
            scenario,
            point: results.run.plan.point(),
            attempts: attempts.len(),
            is_checked: results.is_checked(&contender.name),
            failed_checks: results.failed_checks(&contender.name).len(),
            bottleneck: combined(&bottlenecks),
            cpu_us_per_request,
            cpu_us_per_refusal: Estimate::new(&refusals.unwrap_or_default()),
            requests_per_sec: estimate(&|attempt| Some(attempt.measured.requests_per_sec())),
            mean_ms: estimate(&|attempt| Some(attempt.measured.latency.mean_ms)),
            p99_ms: estimate(&|attempt| Some(attempt.measured.latency.p99_ms)),
            repeated_cost: estimate(&|attempt| attempt.repeated_cost),
            rss_peak_bytes: peaks
                .filter_map(|attempt| attempt.usage.contender.rss_peak_bytes)
                .max(),
            cpu_rank: None,
            rate_rank: None,
            of_ceiling: None,
            vs_all: None,
        }
    }

    /// Returns true if all attempts were server-bound.
    pub(crate) fn is_server_bound(&self) -> bool {
        self.bottleneck == Some(Bottleneck::ServerBound)
    }

    /// Returns true for a contender that passed its checks and does not remember requests.
    pub(crate) fn may_be_ranked(&self) -> bool {
        !self.contender.is_ceiling()
            && self.is_checked
            && self.failed_checks == 0
            && self.bottleneck != Some(Bottleneck::NotComparable)
    }

    /// Returns the bottleneck, or the failed checks, in a few words.
    pub(crate) fn state(&self) -> String {
        let bottleneck = self.bottleneck.map_or("not measured", Bottleneck::name);
        match self.failed_checks {
            0 => bottleneck.to_owned(),
            1 => "failed a check".to_owned(),
            failed => format!("failed {failed} checks"),
        }
    }

    /// Returns the CSS class of a cell that is not ranked by every metric.
    pub(crate) fn class(&self) -> Option<&'static str> {
        match self.failed_checks {
            _ if self.contender.is_ceiling() => Some("ceiling"),
            0 if self.is_server_bound() => None,
            0 => Some("unbound"),
            _ => Some("failed"),
        }
    }

    /// Returns the spread of the CPU time per request or, if it is larger, of the requests per second
    /// where these are server-bound.
    pub(crate) fn spread(&self) -> Option<f64> {
        let rate = self.requests_per_sec.filter(|_| self.is_server_bound());
        let both = [self.cpu_us_per_request, rate];
        let spreads = both.iter().flatten().map(Estimate::spread);
        spreads.max_by(f64::total_cmp)
    }

    /// Returns true if the spread of the attempts deserves a warning.
    pub(crate) fn is_wide(&self) -> bool {
        self.spread().is_some_and(|spread| spread > WIDE_SPREAD)
    }

    pub(crate) fn cpu_us(&self) -> Option<f64> {
        self.cpu_us_per_request.map(|estimate| estimate.median)
    }

    /// Returns the metrics of the score.
    pub(crate) fn medians(&self) -> Option<Metrics> {
        Some(Metrics {
            requests_per_sec: self.requests_per_sec?.median,
            mean_ms: self.mean_ms?.median,
            p99_ms: self.p99_ms?.median,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cell_is_server_bound_only_if_all_attempts_are() {
        use Bottleneck::{Errors, GeneratorBound, Noisy, ServerBound, Waiting};
        assert_eq!(combined(&[ServerBound, ServerBound]), Some(ServerBound));
        assert_eq!(combined(&[ServerBound, ServerBound, Noisy]), Some(Noisy));
        assert_eq!(combined(&[Waiting, Waiting, Noisy]), Some(Waiting));
        assert_eq!(combined(&[Waiting, GeneratorBound]), Some(Waiting));
        assert_eq!(combined(&[Waiting, Waiting, Errors]), Some(Errors));
        assert_eq!(combined(&[]), None);
    }
}
