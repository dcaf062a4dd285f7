//! What one thread of the engine counts within the measured time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::record::{Latency, Measured};

/// Latencies are kept in nanoseconds up to this, to three digits.
const LATENCY_MAX: Duration = Duration::from_secs(60);

/// Of each, the right answers are counted.
const SLICE: Duration = Duration::from_millis(100);

/// The measured time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) begin: Instant,
    pub(super) end: Instant,
}

impl Window {
    fn length(self) -> Duration {
        self.end - self.begin
    }
}

/// Counts of what came within the window. Nothing is allocated but for the first error of a kind.
#[derive(Debug)]
pub(super) struct Tally {
    window: Window,
    latencies: Histogram<u64>,
    errors: BTreeMap<String, u64>,
    bytes: u64,
    slices: Vec<u32>,
    /// Right answers in and out of the window.
    in_all: u64,
}

impl Tally {
    pub(super) fn new(window: Window) -> Self {
        let slices = window.length().as_nanos().div_ceil(SLICE.as_nanos());
        let slices = usize::try_from(slices).expect("the measured time fits into memory");
        Self {
            window,
            latencies: Histogram::new_with_max(LATENCY_MAX.as_nanos() as u64, 3)
                .expect("the bounds are valid"),
            errors: BTreeMap::new(),
            bytes: 0,
            slices: vec![0; slices],
            in_all: 0,
        }
    }

    /// A right answer came.
    pub(super) fn right(&mut self, at: Instant, latency: Duration, bytes: usize) {
        self.in_all += 1;
        let Some(time) = self.time(at) else {
            return;
        };
        let slice = time.as_nanos() as u64 / SLICE.as_nanos() as u64;
        // The very end of the window belongs to its last slice.
        let slice = (slice as usize).min(self.slices.len().saturating_sub(1));
        if let Some(count) = self.slices.get_mut(slice) {
            *count += 1;
        }
        self.latencies.saturating_record(latency.as_nanos() as u64);
        self.bytes += bytes as u64;
    }

    /// Something else came, or nothing.
    pub(super) fn wrong(&mut self, at: Instant, kind: &str, bytes: usize) {
        if self.time(at).is_none() {
            return;
        }
        self.bytes += bytes as u64;
        match self.errors.get_mut(kind) {
            Some(count) => *count += 1,
            None => {
                self.errors.insert(kind.to_owned(), 1);
            }
        }
    }

    /// Time since the begin of the window, within it.
    fn time(&self, at: Instant) -> Option<Duration> {
        let time = at.checked_duration_since(self.window.begin)?;
        (at <= self.window.end).then_some(time)
    }

    /// Adds another thread's counts of the same window.
    pub(super) fn add(&mut self, other: &Self) {
        self.latencies
            .add(&other.latencies)
            .expect("all histograms have the same bounds");
        for (kind, count) in &other.errors {
            *self.errors.entry(kind.clone()).or_default() += count;
        }
        self.bytes += other.bytes;
        self.in_all += other.in_all;
        for (count, more) in self.slices.iter_mut().zip(&other.slices) {
            *count += more;
        }
    }

    /// The result.
    pub(super) fn measured(self) -> Measured {
        let ms = |nanos: f64| nanos / 1e6;
        let quantile = |q: f64| ms(self.latencies.value_at_quantile(q) as f64);
        Measured {
            seconds: self.window.length().as_secs_f64(),
            requests: self.latencies.len(),
            answers_in_all: self.in_all,
            errors: self.errors,
            bytes: Some(self.bytes),
            latency: Latency {
                mean_ms: ms(self.latencies.mean()),
                min_ms: Some(ms(self.latencies.min() as f64)),
                p50_ms: Some(quantile(0.5)),
                p75_ms: Some(quantile(0.75)),
                p90_ms: Some(quantile(0.9)),
                p95_ms: Some(quantile(0.95)),
                p99_ms: quantile(0.99),
                p99_9_ms: Some(quantile(0.999)),
                max_ms: Some(ms(self.latencies.max() as f64)),
            },
            per_100_ms: self.slices,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally() -> Tally {
        let begin = Instant::now() + Duration::from_secs(1);
        let end = begin + Duration::from_millis(250);
        Tally::new(Window { begin, end })
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn only_what_came_within_the_window_counts() {
        let mut tally = tally();
        let Window { begin, end } = tally.window;
        for at in [begin - ms(1), begin, begin + ms(120), end, end + ms(1)] {
            tally.right(at, ms(2), 10);
            tally.wrong(at, "timeout", 1);
        }
        let measured = tally.measured();
        assert_eq!(measured.requests, 3);
        assert_eq!(measured.errors, BTreeMap::from([("timeout".to_owned(), 3)]));
        assert_eq!(measured.bytes, Some(33));
        assert_eq!(measured.per_100_ms, [1, 1, 1]);
        assert!((measured.seconds - 0.25).abs() < 1e-9);
    }

    #[test]
    fn latencies_of_all_threads_are_one_distribution() {
        let mut first = tally();
        let mut second = Tally::new(first.window);
        let at = first.window.begin;
        for latency in 1..=50 {
            first.right(at, ms(latency), 0);
            second.right(at, ms(50 + latency), 0);
        }
        second.wrong(at, "length", 0);
        first.add(&second);
        let measured = first.measured();
        assert_eq!(measured.requests, 100);
        assert_eq!(measured.errors["length"], 1);
        assert_eq!(measured.per_100_ms, [100, 0, 0]);
        let near = |came: f64, expected: f64| (came / expected - 1.0).abs() < 0.001;
        let latency = measured.latency;
        assert!(near(latency.mean_ms, 50.5), "{latency:?}");
        assert!(near(latency.min_ms.unwrap(), 1.0) && near(latency.max_ms.unwrap(), 100.0));
        assert!(near(latency.p50_ms.unwrap(), 50.0) && near(latency.p99_ms, 99.0));
        assert!(near(latency.p99_9_ms.unwrap(), 100.0));
    }

    #[test]
    fn a_latency_beyond_all_bounds_is_kept_as_the_largest() {
        let mut tally = tally();
        tally.right(tally.window.begin, ms(100_000), 0);
        let max = tally.measured().latency.max_ms.unwrap();
        assert!((60_000.0..60_100.0).contains(&max), "{max}");
    }
}
