//! The counts of one thread of the engine within the measured time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::latencies::Latencies;
use crate::record::Measured;

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

    fn contains(self, at: Instant) -> bool {
        (self.begin..=self.end).contains(&at)
    }
}

/// Counts what ended within the window. Only the first error of a kind allocates.
#[derive(Debug)]
pub(super) struct Recorder {
    window: Window,
    latencies: Latencies,
    errors: BTreeMap<String, u64>,
    bytes: u64,
    refused: u64,
    resent: u64,
    /// Right answers in and out of the window.
    answers_in_all: u64,
}

impl Recorder {
    pub(super) fn new(window: Window) -> Self {
        Self {
            window,
            latencies: Latencies::default(),
            errors: BTreeMap::new(),
            bytes: 0,
            refused: 0,
            resent: 0,
            answers_in_all: 0,
        }
    }

    /// Records a right answer.
    pub(super) fn right(&mut self, at: Instant, latency: Duration, bytes: usize) {
        self.answers_in_all += 1;
        if self.window.contains(at) {
            self.latencies.record(latency);
            self.bytes += bytes as u64;
        }
    }

    /// Records that an invalid request was refused.
    pub(super) fn refused(&mut self, at: Instant) {
        self.refused += u64::from(self.window.contains(at));
    }

    /// Records that a request was sent again.
    pub(super) fn resent(&mut self, at: Instant) {
        self.resent += u64::from(self.window.contains(at));
    }

    /// Records a wrong or missing answer.
    pub(super) fn error(&mut self, at: Instant, kind: &str, bytes: usize) {
        if !self.window.contains(at) {
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

    /// Adds another thread's counts of the same window.
    pub(super) fn add(&mut self, other: &Self) {
        self.latencies.add(&other.latencies);
        for (kind, count) in &other.errors {
            *self.errors.entry(kind.clone()).or_default() += count;
        }
        self.bytes += other.bytes;
        self.answers_in_all += other.answers_in_all;
        self.refused += other.refused;
        self.resent += other.resent;
    }

    pub(super) fn measured(self) -> Measured {
        Measured {
            seconds: self.window.length().as_secs_f64(),
            requests: self.latencies.count(),
            answers_in_all: self.answers_in_all,
            errors: self.errors,
            bytes: Some(self.bytes),
            latency: self.latencies.summary(),
            refused: self.refused,
            resent: self.resent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn only_answers_within_the_window_count_and_threads_add_up() {
        let begin = Instant::now() + Duration::from_secs(1);
        let end = begin + ms(250);
        let mut recorders = [(); 2].map(|()| Recorder::new(Window { begin, end }));
        for recorder in &mut recorders {
            for at in [begin - ms(1), begin, begin + ms(120), end, end + ms(1)] {
                recorder.right(at, ms(2), 10);
                recorder.error(at, "timeout", 1);
            }
        }
        let [mut first, mut second] = recorders;
        second.error(end, "length", 0);
        first.add(&second);
        let measured = first.measured();
        assert_eq!((measured.requests, measured.answers_in_all), (6, 10));
        let errors = [("length", 1), ("timeout", 6)];
        let errors = errors.map(|(kind, count)| (kind.to_owned(), count));
        assert_eq!(measured.errors, BTreeMap::from(errors));
        assert_eq!(measured.bytes, Some(66));
        assert!((measured.seconds - 0.25).abs() < 1e-9);
    }
}
