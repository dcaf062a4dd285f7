//! Statistics of few attempts: medians, confidence intervals, ranks with ties, relative changes.

use serde::Serialize;

/// Seed of the resampling: the same attempts give the same interval, on every machine.
const SEED: u64 = 2026;

/// Number of resamples. The ends of an interval are order statistics of the attempts, and more
/// resamples no longer change them.
const RESAMPLES: usize = 10_000;

/// Share of the resamples below, and above, the interval that contains 95 % of them.
const TAIL: f64 = 0.025;

/// Up to this number of attempts more than 2.5 % of the resamples have the smallest attempt as their
/// median, and as many the largest: resampling is not necessary.
const RANGE_UP_TO: usize = 5;

/// The median of a metric over attempts, and its 95 % interval by the percentile bootstrap.
///
/// The interval of two to five attempts is their whole range. The range of N attempts contains the
/// true median with a probability of `1 - 2 / 2^N`: 75 % for 3, 94 % for 5; 95 % needs six. One
/// attempt has no interval, and both ends are its value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Estimate {
    /// The median.
    pub(crate) median: f64,
    /// Lower end of the interval.
    pub(crate) low: f64,
    /// Upper end of the interval.
    pub(crate) high: f64,
    /// The smallest.
    pub(crate) min: f64,
    /// The largest.
    pub(crate) max: f64,
    /// Number of attempts.
    pub(crate) count: usize,
}

impl Estimate {
    /// Estimates from these values; none without a finite value.
    pub(crate) fn new(values: &[f64]) -> Option<Self> {
        let values = sorted(values);
        let (min, max) = (*values.first()?, *values.last()?);
        let (low, high) = match values.len() {
            ..=RANGE_UP_TO => (min, max),
            _ => bootstrapped(&values),
        };
        Some(Self {
            median: median_of_sorted(&values),
            low,
            high,
            min,
            max,
            count: values.len(),
        })
    }

    /// Returns the range as a share of the median: `(max - min) / median`.
    pub(crate) fn spread(&self) -> f64 {
        if self.max > self.min {
            (self.max - self.min) / self.median
        } else {
            0.0
        }
    }
}

/// The better direction of a metric.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Better {
    /// For instance time per request.
    Less,
    /// For instance requests per time.
    More,
}

/// Ranks estimates: a rank is one more than the number of estimates whose whole interval is better.
/// Estimates with overlapping intervals can share a rank.
pub(crate) fn ranks(estimates: &[Estimate], better: Better) -> Vec<usize> {
    let is_ahead = |one: &Estimate, other: &Estimate| match better {
        Better::Less => one.high < other.low,
        Better::More => one.low > other.high,
    };
    let rank = |own| {
        1 + estimates
            .iter()
            .filter(|other| is_ahead(other, own))
            .count()
    };
    estimates.iter().map(rank).collect()
}

/// Returns the median; none without a finite value.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let values = sorted(values);
    (!values.is_empty()).then(|| median_of_sorted(&values))
}

/// Returns the geometric mean of positive values; none without a value.
pub(crate) fn geometric_mean(values: &[f64]) -> Option<f64> {
    let sum: f64 = values.iter().map(|value| value.ln()).sum();
    (!values.is_empty()).then(|| (sum / values.len() as f64).exp())
}

/// A relative change between two sets of attempts: 0.1 is 10 % more.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Change {
    /// Relative change of the medians.
    pub(crate) ratio: f64,
    /// Lower end of the 95 % interval.
    pub(crate) low: f64,
    /// Upper end of the 95 % interval.
    pub(crate) high: f64,
}

impl Change {
    /// Compares two sets of values, which are resampled independently; none if one set is empty.
    pub(crate) fn between(before: &[f64], after: &[f64]) -> Option<Self> {
        let (before, after) = (sorted(before), sorted(after));
        if before.is_empty() || after.is_empty() {
            return None;
        }
        let mut random = fastrand::Rng::with_seed(SEED);
        let mut drawn = Vec::new();
        let changes = (0..RESAMPLES).map(|_| {
            let before = resampled_median(&before, &mut random, &mut drawn);
            resampled_median(&after, &mut random, &mut drawn) / before - 1.0
        });
        let (low, high) = interval(changes.collect());
        Some(Self {
            ratio: median_of_sorted(&after) / median_of_sorted(&before) - 1.0,
            low,
            high,
        })
    }

    /// Returns true if zero is outside of the interval.
    pub(crate) fn excludes_zero(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let finite = values.iter().copied().filter(|value| value.is_finite());
    let mut values: Vec<_> = finite.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median_of_sorted(values: &[f64]) -> f64 {
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}

/// Returns the bootstrap interval of the median.
fn bootstrapped(sorted: &[f64]) -> (f64, f64) {
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut drawn = Vec::new();
    let medians = (0..RESAMPLES).map(|_| resampled_median(sorted, &mut random, &mut drawn));
    interval(medians.collect())
}

/// Draws as many values with replacement, into a reused buffer, and returns their median.
fn resampled_median(sorted: &[f64], random: &mut fastrand::Rng, drawn: &mut Vec<usize>) -> f64 {
    drawn.clear();
    for _ in sorted {
        drawn.push(random.usize(..sorted.len()));
    }
    drawn.sort_unstable();
    let middle = drawn.len() / 2;
    if drawn.len() % 2 == 1 {
        sorted[drawn[middle]]
    } else {
        f64::midpoint(sorted[drawn[middle - 1]], sorted[drawn[middle]])
    }
}

/// Returns the interval that contains 95 % of the resamples.
fn interval(mut resamples: Vec<f64>) -> (f64, f64) {
    resamples.sort_by(f64::total_cmp);
    let outside = (resamples.len() as f64 * TAIL) as usize;
    (resamples[outside], resamples[resamples.len() - 1 - outside])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(low: f64, high: f64) -> Estimate {
        Estimate {
            median: f64::midpoint(low, high),
            low,
            high,
            min: low,
            max: high,
            count: 3,
        }
    }

    #[test]
    fn median_is_the_middle_value_or_the_mean_of_the_middle_two() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn interval_of_two_to_five_attempts_is_their_range() {
        for values in [
            vec![7.0, 9.0],
            vec![8.0, 7.0, 12.0],
            vec![8.0, 7.0, 12.0, 9.0],
            vec![8.0, 7.0, 12.0, 9.0, 10.0],
        ] {
            let estimate = Estimate::new(&values).unwrap();
            assert_eq!((estimate.low, estimate.high), (estimate.min, estimate.max));
            assert_eq!(bootstrapped(&sorted(&values)), (estimate.min, estimate.max));
            assert_eq!(estimate.count, values.len());
        }
    }

    #[test]
    fn interval_of_nine_attempts_excludes_their_outliers() {
        let values = [1.0, 20.0, 21.0, 22.0, 23.0, 24.0, 25.0, 26.0, 99.0];
        let estimate = Estimate::new(&values).unwrap();
        assert_eq!(estimate.median, 23.0);
        // The chance that a resample's median is the 2nd smallest or less is 3 %, the smallest 0.1 %.
        assert_eq!((estimate.low, estimate.high), (20.0, 26.0));
    }

    #[test]
    fn spread_is_the_range_as_a_share_of_the_median_and_none_for_one_attempt() {
        let estimate = Estimate::new(&[5.0]).unwrap();
        assert_eq!((estimate.low, estimate.high), (5.0, 5.0));
        assert_eq!(estimate.spread(), 0.0);
        assert_eq!(Estimate::new(&[9.0, 10.0, 11.5]).unwrap().spread(), 0.25);
        assert_eq!(Estimate::new(&[f64::NAN]), None);
    }

    #[test]
    fn overlapping_intervals_share_a_rank() {
        let estimates = [
            estimate(1.0, 2.0),
            // Touching intervals overlap.
            estimate(2.0, 3.0),
            estimate(2.5, 4.0),
            estimate(5.0, 6.0),
        ];
        assert_eq!(ranks(&estimates, Better::Less), [1, 1, 2, 4]);
        assert_eq!(ranks(&estimates, Better::More), [3, 2, 2, 1]);
    }

    #[test]
    fn geometric_mean_of_two_and_eight_is_four() {
        let mean = geometric_mean(&[2.0, 8.0]).unwrap();
        assert!((mean - 4.0).abs() < 1e-12, "{mean}");
        assert_eq!(geometric_mean(&[]), None);
    }

    #[test]
    fn change_of_disjoint_ranges_excludes_zero() {
        let change = Change::between(&[10.0, 10.0, 10.5], &[12.0, 12.0, 12.6]).unwrap();
        assert!((change.ratio - 0.2).abs() < 1e-12);
        assert!((change.low - (12.0 / 10.5 - 1.0)).abs() < 1e-12);
        assert!((change.high - 0.26).abs() < 1e-12);
        assert!(change.excludes_zero());
    }

    #[test]
    fn change_of_overlapping_ranges_includes_zero() {
        let change = Change::between(&[10.0, 11.0, 12.0], &[10.5, 11.5, 12.5]).unwrap();
        assert!(!change.excludes_zero());
        assert_eq!(Change::between(&[], &[1.0]), None);
    }
}
