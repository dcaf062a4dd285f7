//! A histogram of latencies.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::record::Latency;

/// Longer latencies count as this.
const LATENCY_MAX: Duration = Duration::from_secs(60);

/// Significant digits of a latency.
const DIGITS: u8 = 3;

/// A histogram of latencies in nanoseconds, with three significant digits.
#[derive(Clone, Debug)]
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        let histogram = Histogram::new_with_max(LATENCY_MAX.as_nanos() as u64, DIGITS);
        Self(histogram.expect("the bounds are valid"))
    }
}

impl Latencies {
    /// Adds a latency. Nothing is allocated.
    pub fn record(&mut self, latency: Duration) {
        self.0.saturating_record(latency.as_nanos() as u64);
    }

    /// Adds all latencies of another histogram.
    pub fn add(&mut self, other: &Self) {
        let added = self.0.add(&other.0);
        added.expect("all histograms have the same bounds");
    }

    /// Returns the number of latencies.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// Returns a quantile in milliseconds, 0 without latencies.
    #[must_use]
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1e6
    }

    /// Returns the usual quantiles.
    #[must_use]
    pub fn summary(&self) -> Latency {
        let quantile = |quantile| self.quantile_ms(quantile);
        Latency {
            mean_ms: self.0.mean() / 1e6,
            min_ms: Some(self.0.min() as f64 / 1e6),
            p50_ms: Some(quantile(0.5)),
            p75_ms: Some(quantile(0.75)),
            p90_ms: Some(quantile(0.9)),
            p95_ms: Some(quantile(0.95)),
            p99_ms: quantile(0.99),
            p99_9_ms: Some(quantile(0.999)),
            max_ms: Some(self.0.max() as f64 / 1e6),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(millis: impl IntoIterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::default();
        for ms in millis {
            latencies.record(Duration::from_millis(ms));
        }
        latencies
    }

    #[test]
    fn quantiles_of_added_histograms_are_those_of_all_latencies() {
        let mut latencies = of(1..=50);
        latencies.add(&of(51..=100));
        assert_eq!(latencies.count(), 100);
        let summary = latencies.summary();
        for (actual, expected) in [
            (Some(summary.mean_ms), 50.5),
            (summary.min_ms, 1.0),
            (summary.p50_ms, 50.0),
            (Some(summary.p99_ms), 99.0),
            (summary.p99_9_ms, 100.0),
            (summary.max_ms, 100.0),
        ] {
            let actual = actual.unwrap();
            assert!((actual / expected - 1.0).abs() < 0.001, "{summary:?}");
        }
    }

    #[test]
    fn latency_beyond_the_bound_counts_as_the_bound() {
        let max = of([100_000]).summary().max_ms.unwrap();
        assert!((60_000.0..60_100.0).contains(&max), "{max}");
    }
}
