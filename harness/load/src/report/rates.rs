//! The 99th percentile at each rate of the open loops as a table: to paste, for a terminal.

use std::fmt::Write;

use super::facts::with_interval;
use super::figure::{NONE, short, whole};
use super::latency::{Curve, Point};
use super::markdown::inline;
use testbed::columns::columns;

/// To paste; empty if nothing was asked in open loop.
pub(super) fn markdown(curves: &[Curve<'_>]) -> String {
    if curves.is_empty() {
        return String::new();
    }
    let rates = rates(curves);
    let heads: Vec<_> = rates.iter().map(|rate| at(*rate)).collect();
    let mut text = format!(
        "p99 ms in open loop, from the scheduled time:\n\n| contender | {} |\n|---|{}\n",
        heads.join(" | "),
        "--:|".repeat(rates.len())
    );
    for curve in curves {
        let p99 = |point: &Point| with_interval(Some(&point.p99_ms), short);
        let cells = rates.iter().map(|rate| cell(curve, *rate, p99));
        let cells: Vec<_> = cells.collect();
        let _ = writeln!(
            text,
            "| {} | {} |",
            inline(curve.contender),
            cells.join(" | ")
        );
    }
    text + "\n"
}

/// For a terminal, without intervals, and without the lowest rates where there is no room for all;
/// none if nothing was asked in open loop.
pub(super) fn text(curves: &[Curve<'_>], width: usize) -> Option<String> {
    let rates = rates(curves);
    let fits = |table: &String| table.lines().all(|line| line.chars().count() <= width);
    let mut tables = (0..rates.len()).map(|from| table(curves, &rates[from..]));
    tables
        .find(fits)
        .or_else(|| rates.last().map(|rate| table(curves, &[*rate])))
}

fn table(curves: &[Curve<'_>], rates: &[f64]) -> String {
    let heads = rates.iter().map(|rate| at(*rate));
    let header = [String::from("P99 ms")].into_iter().chain(heads);
    let rows = curves.iter().map(|curve| {
        let median = |point: &Point| short(point.p99_ms.median);
        let cells = rates.iter().map(move |rate| cell(curve, *rate, median));
        [curve.contender.to_owned()].into_iter().chain(cells)
    });
    columns(header, rows, |place| place > 0)
}

/// All rates that anybody was asked for, each once, in their order.
fn rates(curves: &[Curve<'_>]) -> Vec<f64> {
    let points = curves.iter().flat_map(|curve| &curve.points);
    let mut rates: Vec<_> = points.map(|point| point.asked).collect();
    rates.sort_by(f64::total_cmp);
    rates.dedup();
    rates
}

fn at(rate: f64) -> String {
    format!("{}/s", whole(rate))
}

/// A latency means nothing where it is the length of a queue that grows: there stands what was
/// answered.
fn cell(curve: &Curve<'_>, rate: f64, p99: impl Fn(&Point) -> String) -> String {
    match curve.points.iter().find(|point| point.asked == rate) {
        None => NONE.to_owned(),
        Some(point) if point.keeps_up() => p99(point),
        Some(point) => format!("only {}", at(point.answered)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::sample;
    use super::super::super::scenario::Scenario;
    use super::super::latency::curves;
    use super::*;

    #[test]
    fn there_is_a_row_for_each_contender_and_a_column_for_each_rate() {
        let results = sample::results();
        let text = markdown(&curves(&results, Scenario::Info));
        let rows: Vec<_> = text.lines().filter(|line| line.starts_with("| ")).collect();
        assert!(
            rows[0].starts_with("| contender | 3,250/s | 6,500/s | 9,750/s | 13,000/s |"),
            "{text}"
        );
        assert_eq!(rows.len(), 1 + 9, "{text}");
        let columns = |row: &&str| row.matches(" | ").count();
        assert!(rows.iter().all(|row| columns(row) == columns(&rows[0])));
    }

    #[test]
    fn who_does_not_keep_up_has_a_rate_and_no_latency() {
        let results = sample::results();
        let mut curves = curves(&results, Scenario::Info);
        let curve = &mut curves[0];
        curve.points.truncate(1);
        curve.points[0].asked = 100.0;
        curve.points[0].answered = 96.0;
        let alone = &curves[..1];
        assert!(markdown(alone).contains(" | only 96/s |\n"));
        curves[0].points[0].answered = 98.0;
        assert!(!markdown(&curves[..1]).contains("only"));
    }

    #[test]
    fn the_lowest_rates_are_left_out_where_there_is_no_room() {
        let results = sample::results();
        let curves = curves(&results, Scenario::Info);
        let (wide, narrow) = (text(&curves, 500).unwrap(), text(&curves, 40).unwrap());
        let highest = at(*rates(&curves).last().unwrap());
        assert!(
            wide.contains("3,250/s") && wide.contains(&highest),
            "{wide}"
        );
        assert!(
            !narrow.contains(" 3,250/s") && narrow.contains(&highest),
            "{narrow}"
        );
        assert!(narrow.lines().all(|line| line.chars().count() <= 40));
        assert_eq!(text(&[], 80), None);
    }
}
