//! The standings of a run: its cells by scenario, with their ranks and scores.

use serde::Serialize;

use super::cell::Cell;
use super::record::Planned;
use super::results::Results;
use super::scenario::Scenario;
use super::score::Figures;
use super::statistics::{Better, Estimate, median, ranks};

/// All cells of a run, closed loop.
#[derive(Clone, Debug, Serialize)]
pub struct Standings<'a> {
    /// What scores are against.
    pub baseline: Option<&'a Planned>,
    /// In the order of the plan.
    pub scenarios: Vec<Standing<'a>>,
}

/// A scenario: the limit first, then who is ranked, best first, then who is not.
#[derive(Clone, Debug, Serialize)]
pub struct Standing<'a> {
    /// The scenario.
    pub scenario: Scenario,
    /// A cell for every contender of the plan.
    pub cells: Vec<Cell<'a>>,
    /// Requests per second of the engine against the limit, if it was measured.
    pub ceiling: Option<f64>,
}

impl<'a> Standings<'a> {
    /// Of these results, with scores against this baseline.
    #[must_use]
    pub fn of(results: &'a Results, baseline: Option<&'a Planned>) -> Self {
        let scenarios = results.run.plan.scenarios.iter();
        Self {
            baseline,
            scenarios: scenarios
                .map(|scenario| Standing::of(results, *scenario, baseline))
                .collect(),
        }
    }

    /// All cells.
    pub fn cells(&self) -> impl Iterator<Item = &Cell<'a>> {
        self.scenarios.iter().flat_map(|standing| &standing.cells)
    }
}

impl<'a> Standing<'a> {
    fn of(results: &'a Results, scenario: Scenario, baseline: Option<&Planned>) -> Self {
        let contenders = results.run.plan.contenders.iter();
        let mut cells: Vec<_> = contenders
            .map(|contender| Cell::of(results, contender, scenario))
            .collect();
        rank(&mut cells);
        let limit = cells.iter().find(|cell| cell.contender.is_ceiling);
        let limit_us = limit.and_then(Cell::cpu_us);
        let base = cells
            .iter()
            .find(|cell| baseline.is_some_and(|baseline| baseline.name == cell.contender.name));
        let (base, base_best) = (
            base.and_then(Cell::medians),
            base.and_then(|cell| cell.best),
        );
        for cell in &mut cells {
            cell.of_limit = limit_us.zip(cell.cpu_us()).map(|(limit, own)| limit / own);
            let score = |own: Option<Figures>, base: Option<Figures>| own?.vs_all(&base?);
            cell.vs_all = score(cell.medians(), base);
            cell.best_vs_all = score(cell.best, base_best);
        }
        cells.sort_by(|one, other| {
            let key = |cell: &Cell| {
                (
                    !cell.contender.is_ceiling,
                    cell.cpu_rank.unwrap_or(usize::MAX),
                )
            };
            let cost = |cell: &Cell| cell.cpu_us().unwrap_or(f64::INFINITY);
            let rate = |cell: &Cell| cell.requests_per_sec.map_or(0.0, |rate| rate.median);
            let by_rank = key(one).cmp(&key(other));
            // Where no cost is known, the rate decides.
            by_rank
                .then(cost(one).total_cmp(&cost(other)))
                .then(rate(other).total_cmp(&rate(one)))
        });
        let calibrations = results.calibrations.iter();
        let calibrations = calibrations.filter(|attempt| attempt.scenario == scenario);
        let ceilings: Vec<_> = calibrations
            .map(|attempt| attempt.measured.requests_per_sec())
            .collect();
        Self {
            scenario,
            cells,
            ceiling: median(&ceilings),
        }
    }

    /// The physical limit, if it was measured.
    #[must_use]
    pub fn limit(&self) -> Option<&Cell<'a>> {
        self.cells.iter().find(|cell| cell.contender.is_ceiling)
    }

    /// Whether there is an attempt of any contender, closed loop.
    #[must_use]
    pub fn was_measured(&self) -> bool {
        self.cells.iter().any(|cell| !cell.attempts.is_empty())
    }

    /// Those with rank 1 by processor time per request.
    #[must_use]
    pub fn leaders(&self) -> Vec<&'a str> {
        let first = self.cells.iter().filter(|cell| cell.cpu_rank == Some(1));
        first.map(|cell| cell.contender.name.as_str()).collect()
    }
}

fn rank(cells: &mut [Cell<'_>]) {
    let by_cost = ranked(cells, Better::Less, |cell| cell.cpu_us_per_request);
    let by_rate = ranked(cells, Better::More, |cell| {
        cell.requests_per_sec.filter(|_| cell.is_server_bound())
    });
    for ((cell, cost), rate) in cells.iter_mut().zip(by_cost).zip(by_rate) {
        (cell.cpu_rank, cell.rate_rank) = (cost, rate);
    }
}

fn ranked(
    cells: &[Cell<'_>],
    better: Better,
    figure: impl Fn(&Cell<'_>) -> Option<Estimate>,
) -> Vec<Option<usize>> {
    let figures = cells
        .iter()
        .map(|cell| figure(cell).filter(|_| cell.may_be_ranked()));
    let figures: Vec<_> = figures.collect();
    let known: Vec<_> = figures.iter().flatten().copied().collect();
    let mut ranks = ranks(&known, better).into_iter();
    figures
        .iter()
        .map(|figure| figure.and_then(|_| ranks.next()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::record::Bottleneck;
    use super::super::sample;
    use super::*;

    fn cell<'a>(standings: &'a Standings<'_>, contender: &str, scenario: Scenario) -> &'a Cell<'a> {
        let mut of = standings.scenarios.iter();
        let cells = &of.find(|of| of.scenario == scenario).unwrap().cells;
        cells
            .iter()
            .find(|cell| cell.contender.name == contender)
            .unwrap()
    }

    #[test]
    fn the_limit_comes_first_and_has_no_rank() {
        let results = sample::results();
        let standings = Standings::of(&results, results.default_baseline());
        for standing in &standings.scenarios {
            let first = &standing.cells[0];
            assert!(first.contender.is_ceiling);
            assert_eq!((first.cpu_rank, first.rate_rank), (None, None));
            assert_eq!(first.of_limit, Some(1.0));
        }
    }

    #[test]
    fn who_failed_a_check_comes_last_and_has_no_rank() {
        let results = sample::results();
        let standings = Standings::of(&results, None);
        let last = standings.scenarios[0].cells.last().unwrap();
        assert_eq!(last.contender.name, "robyn");
        assert_eq!((last.cpu_rank, last.rate_rank), (None, None));
        assert_eq!(last.unranked_because().unwrap(), "failed 2 checks");
    }

    #[test]
    fn what_is_not_server_bound_is_ranked_by_its_cost_only() {
        let results = sample::results();
        let standings = Standings::of(&results, None);
        let flask = cell(&standings, "flask", Scenario::Catalog);
        assert_eq!(flask.bottleneck, Some(Bottleneck::Waiting));
        assert_eq!(flask.rate_rank, None);
        assert!(flask.cpu_rank.is_some());
    }

    #[test]
    fn the_baseline_scores_one() {
        let results = sample::results();
        let standings = Standings::of(&results, results.default_baseline());
        let axum = cell(&standings, "axum", Scenario::Info);
        assert_eq!((axum.vs_all, axum.best_vs_all), (Some(1.0), Some(1.0)));
    }

    #[test]
    fn a_wide_spread_is_seen() {
        let results = sample::results();
        let standings = Standings::of(&results, None);
        let wide = standings.cells().filter(|cell| cell.is_wide());
        let wide: Vec<_> = wide
            .map(|cell| (cell.contender.name.as_str(), cell.scenario_name()))
            .collect();
        assert_eq!(wide, [("fastapi", "movies")]);
    }

    impl Cell<'_> {
        fn scenario_name(&self) -> &'static str {
            self.attempts[0].scenario.name()
        }
    }
}
