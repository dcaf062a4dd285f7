//! The time of a fault, and what is read from the records of it: silence, recovery, a timeline.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::load::Record;
use super::question::Outcome;

/// Length of a slice of the timeline.
const SLICE: Duration = Duration::from_millis(100);

/// Answers in slices of time, by when the requests were due.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Timeline {
    pub slice_ms: u64,
    /// Slice in which the cause ended.
    pub end: usize,
    pub right: Vec<u32>,
    pub contract_errors: Vec<u32>,
    pub failed: Vec<u32>,
}

/// The time of a fault.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) begin: Instant,
    /// When its cause had ended.
    pub(super) end: Instant,
    /// Until when requests were watched.
    pub(super) until: Instant,
    /// Time from its end until all is right again at the latest.
    pub(super) recovery: Duration,
    /// Latency of an answer that is prompt.
    pub(super) prompt: Duration,
}

impl Window {
    /// From the cause's end to the last request after it that did not fare well; none if that is too
    /// near the end of the watch.
    pub(super) fn recovery(&self, records: &[Record]) -> Option<Duration> {
        let unwell = records
            .iter()
            .filter(|record| record.due >= self.end && !is_well(record, self.prompt));
        let last = unwell.map(|record| record.due).max();
        let Some(last) = last else {
            return Some(Duration::ZERO);
        };
        // Somebody must have been answered well after it.
        let after = records.iter().any(|record| record.due > last);
        after.then(|| last - self.end)
    }

    /// The longest time in which nothing was answered.
    pub(super) fn silence(&self, records: &[Record]) -> Duration {
        let is_answer = |outcome: &Outcome| {
            !matches!(
                outcome,
                Outcome::Refused | Outcome::Broken | Outcome::Silent
            )
        };
        let mut times: Vec<_> = records
            .iter()
            .filter(|record| is_answer(&record.outcome) && record.ended < self.until)
            .map(|record| record.ended)
            .chain([self.begin, self.until])
            .collect();
        times.sort();
        let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
        gaps.max().unwrap_or_default()
    }

    /// Answers by when their requests were due.
    pub(super) fn timeline(&self, records: &[Record]) -> Timeline {
        let slice = |at: Instant| {
            let time = at.saturating_duration_since(self.begin);
            usize::try_from(time.as_millis() / SLICE.as_millis()).unwrap_or(usize::MAX)
        };
        let slices = slice(self.until) + 1;
        let mut timeline = Timeline {
            slice_ms: u64::try_from(SLICE.as_millis()).unwrap_or(u64::MAX),
            end: slice(self.end),
            right: vec![0; slices],
            contract_errors: vec![0; slices],
            failed: vec![0; slices],
        };
        for record in records {
            let of_kind = match record.outcome {
                Outcome::Right => &mut timeline.right,
                Outcome::Error(_) => &mut timeline.contract_errors,
                _ => &mut timeline.failed,
            };
            if let Some(count) = of_kind.get_mut(slice(record.due)) {
                *count += 1;
            }
        }
        timeline
    }
}

/// Whether it is as in quiet times.
pub(super) fn is_well(record: &Record, prompt: Duration) -> bool {
    record.outcome == Outcome::Right && record.ended <= record.due + prompt
}

/// Latencies of right answers in milliseconds, in order, from when they were due.
pub(super) fn latencies(records: &[Record]) -> Vec<f64> {
    let mut latencies: Vec<_> = records
        .iter()
        .filter(|record| record.outcome == Outcome::Right)
        .map(|record| millis(record.ended.saturating_duration_since(record.due)))
        .collect();
    latencies.sort_by(f64::total_cmp);
    latencies
}

/// Of sorted values; 0 of none.
pub(super) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let index = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(index.saturating_sub(1)).copied().unwrap_or(0.0)
}

/// Milliseconds, to a tenth.
pub(super) fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e4).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_a_value_that_came() {
        assert_eq!(quantile(&[], 0.5), 0.0);
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 0.5), 2.0);
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 0.99), 4.0);
    }
}
