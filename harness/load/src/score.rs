//! The field's score, `vs all`, of our own runs and of published tables.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::results::{self, Results};
use super::scenario::Scenario;
use super::standings::Standings;
use super::statistics::geometric_mean;

/// What the score is made of.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Figures {
    /// Right answers per second.
    pub requests_per_sec: f64,
    /// Mean latency in milliseconds.
    pub mean_ms: f64,
    /// 99th percentile of the latency in milliseconds.
    pub p99_ms: f64,
}

impl Figures {
    /// The geometric mean of three ratios to the baseline, each above 1 where these are better.
    #[must_use]
    pub fn vs_all(&self, baseline: &Self) -> Option<f64> {
        let ratios = [
            self.requests_per_sec / baseline.requests_per_sec,
            baseline.mean_ms / self.mean_ms,
            baseline.p99_ms / self.p99_ms,
        ];
        geometric_mean(&ratios).filter(|score| score.is_finite())
    }

    /// With half a unit of rounding in favour and against: more requests in less time, and fewer in
    /// more.
    fn at_most_and_least(&self, unit: &Self) -> (Self, Self) {
        let with = |sign: f64| Self {
            requests_per_sec: self.requests_per_sec + sign * unit.requests_per_sec / 2.0,
            mean_ms: self.mean_ms - sign * unit.mean_ms / 2.0,
            p99_ms: self.p99_ms - sign * unit.p99_ms / 2.0,
        };
        (with(1.0), with(-1.0))
    }
}

/// A contender's score in a scenario.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The contender.
    pub contender: String,
    /// Its figures.
    pub figures: Figures,
    /// Its score; none if the baseline has no figures, or these are zero.
    pub vs_all: Option<f64>,
    /// What was published, if it was and against this baseline.
    pub published: Option<f64>,
    /// Whether the published score follows from the published figures, as far as they are rounded.
    pub reproduces: Option<bool>,
    /// What keeps it from a rank: a bottleneck, or a failed check.
    pub but: Option<String>,
}

/// The scores of a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scores {
    /// Where the figures are from.
    pub source: String,
    /// What all is against.
    pub baseline: String,
    /// Rows by scenario, best first.
    pub scenarios: Vec<(String, Vec<Row>)>,
}

impl Scores {
    /// Whether every published score follows from its figures.
    #[must_use]
    pub fn reproduce(&self) -> bool {
        self.rows().all(|row| row.reproduces != Some(false))
    }

    /// All rows.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.scenarios.iter().flat_map(|(_, rows)| rows)
    }
}

/// The scores of a published table (`published-results.json`), of a `results.jsonl` or of the folder
/// that it is in, by the published rules: of the best attempt by requests per second.
///
/// # Errors
/// The file cannot be read, is neither, or the baseline is not in it.
pub fn read(path: &Path, baseline: Option<&str>) -> Result<Scores> {
    let file = results::file_of(path);
    let text = std::fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
    let scores = if file
        .extension()
        .is_some_and(|extension| extension == "jsonl")
    {
        results::parse(&text).and_then(|results| measured(&results, baseline))
    } else {
        let published = serde_json::from_slice::<Published>(&text).context("no published table");
        published.and_then(|published| published.scores(baseline))
    };
    scores.with_context(|| format!("scoring {}", file.display()))
}

fn measured(results: &Results, baseline: Option<&str>) -> Result<Scores> {
    let baseline = results.baseline(baseline)?;
    let standings = Standings::of(results, baseline);
    let scenarios = standings.scenarios.iter().map(|standing| {
        let rows = standing.cells.iter().filter_map(|cell| {
            Some(Row {
                contender: cell.contender.name.clone(),
                figures: cell.best?,
                vs_all: cell.best_vs_all,
                published: None,
                reproduces: None,
                but: cell.unranked_because(),
            })
        });
        (standing.scenario.to_string(), best_first(rows.collect()))
    });
    Ok(Scores {
        source: format!("best of {} rounds", results.run.plan.rounds),
        baseline: baseline.map_or_else(String::new, |contender| contender.name.clone()),
        scenarios: scenarios.collect(),
    })
}

fn best_first(mut rows: Vec<Row>) -> Vec<Row> {
    let score = |row: &Row| row.vs_all.unwrap_or(0.0);
    rows.sort_by(|one, other| score(other).total_cmp(&score(one)));
    rows
}

/// A table as it was published.
#[derive(Debug, Deserialize)]
struct Published {
    source: String,
    baseline: String,
    scenarios: BTreeMap<String, Vec<PublishedRow>>,
}

#[derive(Debug, Deserialize)]
struct PublishedRow {
    contender: String,
    #[serde(flatten)]
    figures: Figures,
    vs_all: f64,
}

impl Published {
    fn scores(&self, baseline: Option<&str>) -> Result<Scores> {
        let baseline = baseline.unwrap_or(&self.baseline);
        let rounding = self.rounding();
        let mut scenarios = Vec::new();
        for (scenario, rows) in &self.scenarios {
            let Some(base) = rows.iter().find(|row| row.contender == baseline) else {
                bail!("{scenario} has no {baseline} to be the baseline");
            };
            let rows = rows.iter().map(|row| {
                let published = (baseline == self.baseline).then_some(row.vs_all);
                Row {
                    contender: row.contender.clone(),
                    figures: row.figures,
                    vs_all: row.figures.vs_all(&base.figures),
                    published,
                    reproduces: published.map(|_| row.follows_from(base, &rounding)),
                    but: None,
                }
            });
            scenarios.push((scenario.clone(), best_first(rows.collect())));
        }
        scenarios.sort_by_key(|(name, _)| place_in_contract(name));
        Ok(Scores {
            source: self.source.clone(),
            baseline: baseline.to_owned(),
            scenarios,
        })
    }

    /// To what each column was rounded.
    fn rounding(&self) -> PublishedRow {
        let unit = |figure: fn(&PublishedRow) -> f64| {
            let rows = self.scenarios.values().flatten();
            unit_of(&rows.map(figure).collect::<Vec<_>>())
        };
        PublishedRow {
            contender: String::new(),
            figures: Figures {
                requests_per_sec: unit(|row| row.figures.requests_per_sec),
                mean_ms: unit(|row| row.figures.mean_ms),
                p99_ms: unit(|row| row.figures.p99_ms),
            },
            vs_all: unit(|row| row.vs_all),
        }
    }
}

impl PublishedRow {
    /// Whether some figures that round to the published ones have a score that does, too.
    fn follows_from(&self, baseline: &Self, rounding: &Self) -> bool {
        let (most, least) = self.figures.at_most_and_least(&rounding.figures);
        let (base_most, base_least) = baseline.figures.at_most_and_least(&rounding.figures);
        let (Some(low), Some(high)) = (least.vs_all(&base_most), most.vs_all(&base_least)) else {
            return false;
        };
        let half = rounding.vs_all / 2.0;
        low <= self.vs_all + half && self.vs_all - half <= high
    }
}

/// Where the contract has a scenario of this name, in whatever way it is written; at the end if it
/// does not.
fn place_in_contract(name: &str) -> usize {
    let name = name.replace('_', "-");
    let mut known = Scenario::ALL.iter();
    known
        .position(|scenario| scenario.name() == name)
        .unwrap_or(usize::MAX)
}

/// The largest power of ten that all figures are multiples of.
fn unit_of(values: &[f64]) -> f64 {
    // Of the values times a million, whole numbers for all that is ever published.
    let scaled = values.iter().map(|value| (value * 1e6).round() as u64);
    let divides = |unit: u64| scaled.clone().all(|value| value % unit == 0);
    let unit = (0..=12).map(|power| 10_u64.pow(power));
    let unit = unit.take_while(|unit| divides(*unit)).last();
    unit.unwrap_or(1) as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published() -> Scores {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/published-results.json");
        read(&path, None).unwrap()
    }

    #[test]
    fn all_32_published_rows_follow_from_their_figures() {
        let scores = published();
        assert_eq!(scores.rows().count(), 32);
        let names: Vec<_> = scores
            .scenarios
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, ["info", "movies", "catalog", "users_me"]);
        for row in scores.rows() {
            assert_eq!(row.reproduces, Some(true), "{row:?}");
        }
    }

    #[test]
    fn a_changed_row_no_longer_follows() {
        let row = |contender: &str, requests_per_sec, vs_all| PublishedRow {
            contender: contender.to_owned(),
            figures: Figures {
                requests_per_sec,
                mean_ms: 2.51,
                p99_ms: 4.03,
            },
            vs_all,
        };
        let with = |vs_all| Published {
            source: String::new(),
            baseline: "a".to_owned(),
            scenarios: BTreeMap::from([(
                "info".to_owned(),
                vec![row("a", 40_100.0, 1.0), row("b", 80_200.0, vs_all)],
            )]),
        };
        // The cube root of 2 is 1.2599.
        assert!(with(1.26).scores(None).unwrap().reproduce());
        assert!(!with(1.31).scores(None).unwrap().reproduce());
    }

    #[test]
    fn a_score_is_the_cube_root_of_three_ratios() {
        let baseline = Figures {
            requests_per_sec: 1000.0,
            mean_ms: 8.0,
            p99_ms: 27.0,
        };
        let own = Figures {
            requests_per_sec: 8000.0,
            mean_ms: 8.0,
            p99_ms: 1.0,
        };
        let score = own.vs_all(&baseline).unwrap();
        assert!((score - 6.0).abs() < 1e-12, "{score}");
        let nothing = Figures {
            requests_per_sec: 0.0,
            mean_ms: 0.0,
            p99_ms: 0.0,
        };
        assert_eq!(nothing.vs_all(&baseline), None);
    }

    #[test]
    fn the_rounding_of_a_column_is_seen_in_it() {
        assert_eq!(unit_of(&[44_500.0, 900.0]), 100.0);
        assert_eq!(unit_of(&[2.22, 127.5]), 0.01);
        assert_eq!(unit_of(&[1.0, 0.625]), 0.001);
    }

    #[test]
    fn another_baseline_has_a_score_of_one() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/published-results.json");
        let scores = read(&path, Some("gin")).unwrap();
        let gin = scores.rows().filter(|row| row.contender == "gin");
        let gin: Vec<_> = gin.map(|row| row.vs_all.unwrap()).collect();
        assert_eq!(gin, [1.0; 4]);
        let error = format!("{:#}", read(&path, Some("rails")).unwrap_err());
        assert!(error.contains("has no rails"), "{error}");
    }
}
