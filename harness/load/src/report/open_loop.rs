//! The 99th percentile of the latency at each rate of the open loops.

use super::super::record::{Attempt, LoadModel};
use super::super::scenario::Scenario;
use super::super::standings::Standings;
use testbed::number::{short, whole};
use testbed::table::{self, Column, Table};

/// A contender in a scenario, in open loop.
pub(super) struct Row<'a> {
    contender: String,
    /// Attempts with their scheduled rates.
    attempts: Vec<(f64, &'a Attempt)>,
}

/// Returns the rows of a scenario, in the order of the plan; empty if it has no open loops.
pub(super) fn rows<'a>(standings: &Standings<'a>, scenario: Scenario) -> Vec<Row<'a>> {
    let mut rows = Vec::new();
    for contender in &standings.plan().contenders {
        for results in &standings.runs {
            let attempts = results.attempts.iter();
            let attempts = attempts.filter_map(|attempt| match attempt.load_model {
                LoadModel::Open(rate) => Some((rate, attempt)),
                LoadModel::Closed | LoadModel::Invalid(_) => None,
            });
            let attempts: Vec<_> = attempts
                .filter(|(_, attempt)| {
                    attempt.contender == contender.name && attempt.scenario == scenario
                })
                .collect();
            if !attempts.is_empty() {
                let suffix = standings.point_suffix(results.run.plan.point());
                rows.push(Row {
                    contender: contender.name.clone() + &suffix,
                    attempts,
                });
            }
        }
    }
    rows
}

/// Returns a table with a column for each rate. On a narrow terminal the lowest rates are left out.
pub(super) fn table<'a>(rows: &[Row<'a>]) -> Table<'a, Row<'a>> {
    let attempts = rows.iter().flat_map(|row| &row.attempts);
    let mut rates: Vec<_> = attempts.map(|(rate, _)| *rate).collect();
    rates.sort_by(f64::total_cmp);
    rates.dedup();
    let name = Column::text("contender", |row: &Row<'a>| row.contender.clone());
    let rates = (0..u8::MAX).zip(rates).map(|(priority, rate)| {
        let cell = move |row: &Row<'a>| {
            let mut attempts = row.attempts.iter();
            let found = attempts.find(|(scheduled, _)| *scheduled == rate);
            found.map(|(_, attempt)| p99(attempt, rate))
        };
        Column::number(whole(rate), "/s", cell).priority(priority)
    });
    Table::new([name].into_iter().chain(rates))
}

/// Returns the 99th percentile in milliseconds. Where the contender does not keep up with the rate,
/// latency is the length of a growing queue, and the rate of responses is returned instead.
fn p99(attempt: &Attempt, rate: f64) -> table::Cell {
    let measured = &attempt.measured;
    match measured.keeps_up_with(rate) {
        true => table::Cell::number(measured.latency.p99_ms, short),
        false => format!("only {}", per_sec(measured.requests_per_sec())).into(),
    }
}

fn per_sec(rate: f64) -> String {
    format!("{}/s", whole(rate))
}
