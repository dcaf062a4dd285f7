//! The score of the field, `vs all`: a contender relative to a baseline.

use super::statistics::geometric_mean;

/// The metrics of the score.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metrics {
    pub(crate) requests_per_sec: f64,
    pub(crate) mean_ms: f64,
    pub(crate) p99_ms: f64,
}

impl Metrics {
    /// Returns the geometric mean of three ratios to the baseline, each above 1 where these metrics
    /// are better.
    pub(crate) fn vs_all(&self, baseline: &Self) -> Option<f64> {
        let ratios = [
            self.requests_per_sec / baseline.requests_per_sec,
            baseline.mean_ms / self.mean_ms,
            baseline.p99_ms / self.p99_ms,
        ];
        geometric_mean(&ratios).filter(|score| score.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn metrics(row: &Value, sign: f64) -> Metrics {
        // Published values are rounded to 100 requests per second and 0.01 ms.
        let value = |name: &str, unit: f64| row[name].as_f64().unwrap() + sign * unit / 2.0;
        Metrics {
            requests_per_sec: value("requests_per_sec", 100.0),
            mean_ms: value("mean_ms", -0.01),
            p99_ms: value("p99_ms", -0.01),
        }
    }

    #[test]
    fn all_32_published_scores_follow_from_their_metrics_within_rounding() {
        let text = include_str!("../tests/data/published-results.json");
        let published: Value = serde_json::from_str(text).unwrap();
        let mut rows = 0;
        for scenario in published["scenarios"].as_object().unwrap().values() {
            let scenario = scenario.as_array().unwrap();
            let is_baseline = |row: &&Value| row["contender"] == published["baseline"];
            let baseline = scenario.iter().find(is_baseline).unwrap();
            for row in scenario {
                let low = metrics(row, -1.0).vs_all(&metrics(baseline, 1.0)).unwrap();
                let high = metrics(row, 1.0).vs_all(&metrics(baseline, -1.0)).unwrap();
                let score = row["vs_all"].as_f64().unwrap();
                assert!(low - 0.005 <= score && score <= high + 0.005, "{row}");
                assert!(
                    high - low < 0.1 * score,
                    "{row}: rounding explains everything"
                );
                rows += 1;
            }
        }
        assert_eq!(rows, 32);
    }

    #[test]
    fn score_is_the_cube_root_of_three_ratios() {
        let metrics = |requests_per_sec, mean_ms, p99_ms| Metrics {
            requests_per_sec,
            mean_ms,
            p99_ms,
        };
        let baseline = metrics(1000.0, 8.0, 27.0);
        let score = metrics(8000.0, 8.0, 1.0).vs_all(&baseline).unwrap();
        assert!((score - 6.0).abs() < 1e-12, "{score}");
        assert_eq!(metrics(0.0, 0.0, 0.0).vs_all(&baseline), None);
    }
}
