//! The standings of a run, or of several that differ in workers and connections only: cells by
//! scenario, with their ranks and scores.

use anyhow::{Result, ensure};

use super::cell::Cell;
use super::record::{Plan, Planned, Point};
use super::results::Results;
use super::scenario::Scenario;
use super::statistics::{Better, Estimate, median, ranks};

/// The standings of every scenario, in closed loop.
#[derive(Clone, Debug)]
pub(crate) struct Standings<'a> {
    /// The runs, in the order of their points; at least one.
    pub(crate) runs: Vec<&'a Results>,
    /// The contender that scores are relative to.
    pub(crate) baseline: Option<&'a Planned>,
    /// In the order of the plan.
    pub(crate) scenarios: Vec<Standing<'a>>,
}

/// The standings of a scenario.
#[derive(Clone, Debug)]
pub(crate) struct Standing<'a> {
    pub(crate) scenario: Scenario,
    /// The ceiling first, then ranked contenders, best first, then the others. Cells of one contender
    /// are adjacent, in the order of their points.
    pub(crate) cells: Vec<Cell<'a>>,
    /// Median requests per second of the engine against the ceiling.
    pub(crate) engine_ceiling: Option<f64>,
}

impl<'a> Standings<'a> {
    /// Ranks the cells of runs, with scores relative to the contender of this name or else to the
    /// first that is not the ceiling.
    ///
    /// # Errors
    /// The runs differ in more than workers and connections, or have no such contender.
    pub(crate) fn new(runs: &'a [Results], baseline: Option<&str>) -> Result<Self> {
        let mut runs: Vec<_> = runs.iter().collect();
        runs.sort_by_key(|results| results.run.plan.point());
        let plan = &runs[0].run.plan;
        let Point {
            workers,
            connections,
        } = plan.point();
        let is_comparable = |results: &&Results| {
            let same_point = Plan {
                workers,
                connections,
                ..results.run.plan.clone()
            };
            same_point == *plan
        };
        ensure!(
            runs.iter().all(is_comparable),
            "the runs differ in more than workers and connections: report each of them alone"
        );
        let baseline = runs[0].baseline(baseline)?;
        let scenarios = plan.scenarios.iter();
        Ok(Self {
            scenarios: scenarios
                .map(|scenario| Standing::new(&runs, *scenario, baseline))
                .collect(),
            baseline,
            runs,
        })
    }

    pub(crate) fn plan(&self) -> &'a Plan {
        &self.runs[0].run.plan
    }

    pub(crate) fn cells(&self) -> impl Iterator<Item = &Cell<'a>> + Clone {
        self.scenarios.iter().flat_map(|standing| &standing.cells)
    }

    /// Returns what distinguishes cells of one contender, such as `, 4 workers`; empty in a single
    /// run.
    pub(crate) fn point_suffix(&self, point: Point) -> String {
        let differs = |setting: fn(Point) -> usize| {
            let mut points = self.runs.iter().map(|results| results.run.plan.point());
            points.any(|other| setting(other) != setting(point))
        };
        let mut suffix = String::new();
        if differs(|point| point.workers) {
            suffix += &format!(", {} workers", point.workers);
        }
        if differs(|point| point.connections) {
            suffix += &format!(", {} connections", point.connections);
        }
        suffix
    }
}

impl<'a> Standing<'a> {
    fn new(runs: &[&'a Results], scenario: Scenario, baseline: Option<&Planned>) -> Self {
        let mut order = Vec::new();
        let mut cells = Vec::new();
        for results in runs {
            let of_run = cells_of_run(results, scenario, baseline);
            if order.is_empty() {
                order.extend(of_run.iter().map(|cell| cell.contender.name.as_str()));
            }
            cells.extend(of_run);
        }
        // Stable: cells of one contender keep the order of the runs.
        cells.sort_by_key(|cell| order.iter().position(|name| *name == cell.contender.name));
        let calibrations = runs.iter().flat_map(|results| &results.calibrations);
        let rates: Vec<_> = calibrations
            .filter(|attempt| attempt.scenario == scenario)
            .map(|attempt| attempt.measured.requests_per_sec())
            .collect();
        Self {
            scenario,
            cells,
            engine_ceiling: median(&rates),
        }
    }

    /// Returns true if there is an attempt in closed loop.
    pub(crate) fn was_measured(&self) -> bool {
        self.cells.iter().any(|cell| cell.attempts > 0)
    }

    /// Returns the contenders of rank 1 by CPU time per request in the first run.
    pub(crate) fn leaders(&self) -> Vec<&'a str> {
        let point = self.cells.iter().map(|cell| cell.point).min();
        let first = self.cells.iter();
        let first = first.filter(|cell| cell.cpu_rank == Some(1) && Some(cell.point) == point);
        first.map(|cell| cell.contender.name.as_str()).collect()
    }
}

/// Returns the cells of a scenario in one run with their ranks and scores, in the order of a report.
fn cells_of_run<'a>(
    results: &'a Results,
    scenario: Scenario,
    baseline: Option<&Planned>,
) -> Vec<Cell<'a>> {
    let contenders = results.run.plan.contenders.iter();
    let mut cells: Vec<_> = contenders
        .map(|contender| Cell::new(results, contender, scenario))
        .collect();
    rank(&mut cells);
    let ceiling = cells.iter().find(|cell| cell.contender.is_ceiling());
    let ceiling_us = ceiling.and_then(Cell::cpu_us);
    let is_baseline =
        |cell: &&Cell<'_>| baseline.is_some_and(|baseline| baseline.name == cell.contender.name);
    let base = cells.iter().find(is_baseline).and_then(Cell::medians);
    for cell in &mut cells {
        let both = ceiling_us.zip(cell.cpu_us());
        cell.of_ceiling = both.map(|(ceiling, own)| ceiling / own);
        let both = cell.medians().zip(base);
        cell.vs_all = both.and_then(|(own, base)| own.vs_all(&base));
    }
    cells.sort_by(|one, other| {
        let rank = |cell: &Cell<'_>| {
            let rank = cell.cpu_rank.unwrap_or(usize::MAX);
            (!cell.contender.is_ceiling(), rank)
        };
        let cpu_us = |cell: &Cell<'_>| cell.cpu_us().unwrap_or(f64::INFINITY);
        let by_rank = rank(one).cmp(&rank(other));
        by_rank.then(cpu_us(one).total_cmp(&cpu_us(other)))
    });
    cells
}

fn rank(cells: &mut [Cell<'_>]) {
    let by_cpu = ranked(cells, Better::Less, |cell| cell.cpu_us_per_request);
    let by_rate = ranked(cells, Better::More, |cell| {
        cell.requests_per_sec.filter(|_| cell.is_server_bound())
    });
    for ((cell, cpu), rate) in cells.iter_mut().zip(by_cpu).zip(by_rate) {
        (cell.cpu_rank, cell.rate_rank) = (cpu, rate);
    }
}

fn ranked(
    cells: &[Cell<'_>],
    better: Better,
    metric: impl Fn(&Cell<'_>) -> Option<Estimate>,
) -> Vec<Option<usize>> {
    let estimate = |cell| metric(cell).filter(|_| cell.may_be_ranked());
    let estimates: Vec<_> = cells.iter().map(estimate).collect();
    let known: Vec<_> = estimates.iter().flatten().copied().collect();
    let mut ranks = ranks(&known, better).into_iter();
    estimates
        .iter()
        .map(|estimate| estimate.and_then(|_| ranks.next()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn cells_are_ordered_and_ranked_by_cpu_time_of_valid_contenders() {
        let runs = [sample::results()];
        let standings = Standings::new(&runs, None).unwrap();
        let catalog = &standings.scenarios[2];
        let row = |cell: &Cell<'_>| {
            let name = cell.contender.name.clone();
            (name, cell.cpu_rank, cell.rate_rank, cell.state())
        };
        let row_of =
            |name: &str, cpu, rate, state: &str| (name.to_owned(), cpu, rate, state.to_owned());
        assert_eq!(
            catalog.cells.iter().map(row).collect::<Vec<_>>(),
            [
                row_of("ceiling", None, None, "generator-bound"),
                row_of("axum", Some(1), Some(1), "server-bound"),
                row_of("gin", Some(2), Some(2), "server-bound"),
                // Its own construction limits its rate, so it is ranked by its CPU time only.
                row_of("flask", Some(3), None, "waiting"),
                row_of("robyn", None, None, "failed 2 checks"),
            ]
        );
        assert_eq!(catalog.cells[0].of_ceiling, Some(1.0));
        assert_eq!(catalog.cells[1].vs_all, Some(1.0));
        assert_eq!(catalog.leaders(), ["axum"]);
    }

    #[test]
    fn wide_spread_is_detected() {
        let runs = [sample::results()];
        let standings = Standings::new(&runs, None).unwrap();
        let wide = standings.cells().filter(|cell| cell.is_wide());
        let wide: Vec<_> = wide
            .map(|cell| (cell.contender.name.as_str(), cell.scenario))
            .collect();
        assert_eq!(wide, [("gin", Scenario::Movies)]);
    }

    #[test]
    fn runs_with_other_connections_are_rows_of_one_standing() {
        let mut runs = [sample::results(), sample::results()];
        runs[0].run.plan.connections = 1000;
        let standings = Standings::new(&runs, None).unwrap();
        let cells = &standings.scenarios[0].cells;
        let rows: Vec<_> = cells[..4]
            .iter()
            .map(|cell| (cell.contender.name.as_str(), cell.point.connections))
            .collect();
        let expected = [
            ("ceiling", 100),
            ("ceiling", 1000),
            ("axum", 100),
            ("axum", 1000),
        ];
        assert_eq!(rows, expected);
        let suffix = standings.point_suffix(cells[0].point);
        assert_eq!(suffix, ", 100 connections");
        runs[1].run.plan.rounds += 1;
        assert!(Standings::new(&runs, None).is_err());
    }
}
