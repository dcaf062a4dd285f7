//! Logarithmic axes.

/// The least and the largest positive value; one apart from each other if there are not two.
pub(super) fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let values: Vec<_> = values
        .filter(|value| *value > 0.0 && value.is_finite())
        .collect();
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(0.0, f64::max);
    if low < high {
        (low, high)
    } else {
        (high.max(1.0) / 2.0, high.max(1.0) * 2.0)
    }
}

/// Where a value is between two others, logarithmically.
pub(super) fn share(value: f64, (low, high): (f64, f64)) -> f64 {
    let value = value.clamp(low, high);
    (value / low).ln() / (high / low).ln()
}
