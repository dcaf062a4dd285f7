//! Charts of one row per contender: costs as bars, who pays them, and how rounds differ. Hand-made,
//! with widths in per cent, so that letters keep their size at every width.

use maud::{Markup, PreEscaped, html};

use super::super::cell::{Cell, Split, WIDE_SPREAD};
use super::super::results::Results;
use super::super::standings::{Standing, Standings};
use super::axis::Axis;
use super::facts;
use super::figure::{self, percent, short};

/// Colours and letters of all charts, on the page and in the picture.
pub(super) const STYLE: &str = include_str!("chart.css");

/// Height of a row: a line of text and what is below it.
const ROW: f64 = 38.0;

/// Where the text of a row stands, and where its bar begins and how thick it is.
const TEXT: f64 = 14.0;
const BAR: f64 = 21.0;
const THICK: f64 = 8.0;

/// Width and margin of the picture and of the gap between its charts.
const WIDTH: f64 = 960.0;
const MARGIN: f64 = 32.0;

/// Height of the picture above its first chart.
const HEAD: f64 = 84.0;

/// The figures of a scenario as bars with their intervals, the limit as a mark on each.
pub(super) fn bars(standing: &Standing<'_>, axis: Axis) -> Markup {
    let cells = contenders(standing);
    let limit = standing.limit().and_then(|cell| axis.estimate(cell));
    let highest = cells.iter().filter_map(|cell| axis.estimate(cell));
    let highest = highest.map(|estimate| estimate.high).fold(0.0, f64::max);
    let at = |value: f64| place(value / highest);
    let title = format!("{}, {}", axis.title(), standing.scenario);
    let description = cells.iter().map(|cell| {
        let figure = figure::or_none(axis.estimate(cell), |figure| axis.text(figure.median));
        format!("{} {figure}{}", cell.contender.name, axis.unit())
    });
    let drawn = cells.iter().enumerate().map(|(index, cell)| {
        let y = index as f64 * ROW;
        let class = match cell.unranked_because() {
            None => "bar",
            Some(_) if cell.failed_checks > 0 => "bar failed",
            Some(_) => "bar unbound",
        };
        html! {
            (label(y, cell, axis))
            @if let Some(cost) = axis.estimate(cell) {
                text.value x="100%" y=(y + TEXT) { (axis.text(cost.median)) tspan.unit { (axis.unit()) } }
                rect.track x="0" y=(y + BAR) width="100%" height=(THICK) rx="2" {}
                rect class=(class) x="0" y=(y + BAR) width=(at(cost.median)) height=(THICK) rx="2" {}
                @if cost.count > 1 {
                    line.whisker x1=(at(cost.low)) x2=(at(cost.high)) y1=(y + BAR + THICK / 2.0) y2=(y + BAR + THICK / 2.0) {}
                    @for end in [cost.low, cost.high] {
                        line.whisker x1=(at(end)) x2=(at(end)) y1=(y + BAR + 1.0) y2=(y + BAR + THICK - 1.0) {}
                    }
                }
                @if let Some(limit) = limit {
                    line.limit x1=(at(limit.median)) x2=(at(limit.median)) y1=(y + BAR - 2.0) y2=(y + BAR + THICK + 3.0) {}
                }
            } @else {
                text.value.unit x="100%" y=(y + TEXT) { "not measured" }
            }
        }
    });
    framed(&title, description, cells.len(), drawn)
}

/// Who pays for a request: the contender, the engine, the upstream, Postgres.
pub(super) fn split(standing: &Standing<'_>) -> Markup {
    let cells: Vec<_> = standing
        .cells
        .iter()
        .filter(|cell| cell.split.is_some())
        .collect();
    let splits = cells.iter().filter_map(|cell| cell.split);
    let highest = splits.map(|split| split.total_us()).fold(0.0, f64::max);
    let title = format!("Who pays for a request, {}", standing.scenario);
    let description = cells.iter().filter_map(|cell| {
        let parts = parts(&cell.split?);
        let parts: Vec<_> = parts
            .iter()
            .map(|(name, us)| format!("{name} {} µs", short(*us)))
            .collect();
        Some(format!("{}: {}", cell.contender.name, parts.join(", ")))
    });
    let drawn = cells.iter().enumerate().filter_map(|(index, cell)| {
        let split = cell.split?;
        let y = index as f64 * ROW;
        let mut from = 0.0;
        let pieces = parts(&split).map(|(name, us)| {
            let begin = from;
            from += us;
            (name, us, begin)
        });
        Some(html! {
            (label(y, cell, Axis::Cost))
            text.value x="100%" y=(y + TEXT) { (short(split.total_us())) tspan.unit { " µs" } }
            rect.track x="0" y=(y + BAR) width="100%" height=(THICK) rx="2" {}
            @for (name, us, begin) in pieces {
                @if us > 0.0 {
                    rect class={ "piece " (name) } x=(place(begin / highest)) y=(y + BAR)
                        width=(place(us / highest)) height=(THICK) { title { (name) " " (short(us)) " µs" } }
                }
            }
        })
    });
    framed(&title, description, cells.len(), drawn)
}

fn parts(split: &Split) -> [(&'static str, f64); 4] {
    [
        ("contender", split.contender_us),
        ("engine", split.generator_us),
        ("upstream", split.upstream_us),
        ("postgres", split.postgres_us),
    ]
}

/// How far each round's cost is from the median of its cell, up to this share on either side.
pub(super) fn noise(standing: &Standing<'_>, reach: f64) -> Markup {
    let cells: Vec<_> = standing
        .cells
        .iter()
        .filter(|cell| !deviations(cell).is_empty())
        .collect();
    let title = format!("Rounds against their median, {}", standing.scenario);
    let description = cells.iter().map(|cell| {
        let rounds: Vec<_> = deviations(cell)
            .iter()
            .map(|(_, by)| percent(*by))
            .collect();
        format!("{}: {}", cell.contender.name, rounds.join(", "))
    });
    let at = |deviation: f64| place(0.5 + deviation / reach / 2.0);
    let drawn = cells.iter().enumerate().map(|(index, cell)| {
        let y = index as f64 * ROW;
        let middle = y + BAR + THICK / 2.0;
        html! {
            (name(y, cell, cell.cpu_rank, None))
            text class=(if cell.is_wide() { "value wide" } else { "value" }) x="100%" y=(y + TEXT) {
                (figure::or_none(cell.spread(), percent))
            }
            rect.track x="0" y=(y + BAR) width="100%" height=(THICK) rx="2" {}
            rect.band x=(at(-WIDE_SPREAD / 2.0)) y=(y + BAR) width=(place(WIDE_SPREAD / reach / 2.0)) height=(THICK) {}
            line.middle x1="50%" x2="50%" y1=(y + BAR - 2.0) y2=(y + BAR + THICK + 2.0) {}
            @for (round, by) in deviations(cell) {
                circle.dot cx=(at(by)) cy=(middle) r="3.5" { title { "round " (round) ": " (percent(by)) } }
            }
        }
    });
    framed(&title, description, cells.len(), drawn)
}

/// How far the noise of a whole run reaches: what its charts share as a scale.
pub(super) fn reach(standings: &Standings<'_>) -> f64 {
    let all = standings.cells().flat_map(deviations);
    all.map(|(_, by)| by.abs() * 1.1)
        .fold(WIDE_SPREAD, f64::max)
}

/// Rounds of a cell, each with its distance from the median as a share of it.
fn deviations(cell: &Cell<'_>) -> Vec<(u32, f64)> {
    let Some(cost) = cell.cpu_us_per_request else {
        return Vec::new();
    };
    let attempts = cell.attempts.iter();
    let deviations = attempts.filter_map(|attempt| {
        let by = attempt.cpu_us_per_request()? / cost.median - 1.0;
        by.is_finite().then_some((attempt.round, by))
    });
    deviations.collect()
}

/// All scenarios' bars as one picture, on a ground of its own: it is read on light and dark pages.
pub(super) fn picture(results: &Results, standings: &Standings<'_>) -> String {
    let axis = Axis::of(standings);
    let charts = standings
        .scenarios
        .iter()
        .filter(|standing| axis.has(standing));
    let charts: Vec<_> = charts.collect();
    let column = (WIDTH - 3.0 * MARGIN) / 2.0;
    let rows = contenders_of(standings).max(1) as f64;
    let each = rows * ROW + 64.0;
    let height = HEAD + charts.len().div_ceil(2).max(1) as f64 * each;
    let run = &results.run;
    let picture = html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (WIDTH) " " (height) } width=(WIDTH) height=(height) role="img" {
            title { (axis.title()) }
            desc { (facts::headline(results, standings)) }
            style { (PreEscaped(STYLE)) }
            rect.ground x="0.5" y="0.5" width=(WIDTH - 1.0) height=(height - 1.0) rx="8" {}
            text.heading x=(MARGIN) y="42" { (axis.title()) }
            text.note x=(MARGIN) y="62" {
                (axis.about()) "; median and 95 % interval of " (run.plan.rounds) " rounds; grey: not server-bound"
            }
            text.note.end x=(WIDTH - MARGIN) y="42" { (run.machine.cpu) }
            @if charts.is_empty() {
                text.note x=(MARGIN) y=(HEAD + 32.0) {
                    @if results.attempts.is_empty() { "Nothing was measured yet." }
                    @else { (facts::headline(results, standings)) }
                }
            }
            @for (index, standing) in charts.iter().enumerate() {
                @let x = MARGIN + (index % 2) as f64 * (column + MARGIN);
                @let y = HEAD + (index / 2) as f64 * each;
                text.name.strong x=(x) y=(y + 20.0) { (standing.scenario) }
                @if let Some(limit) = limit_note(standing, axis) {
                    text.note.end x=(x + column) y=(y + 20.0) { "│ " (limit) }
                }
                svg x=(x) y=(y + 34.0) width=(column) height=(rows * ROW) { (bars(standing, axis)) }
            }
        }
    };
    picture.into_string()
}

/// What the mark on the bars of a scenario is.
pub(super) fn limit_note(standing: &Standing<'_>, axis: Axis) -> Option<String> {
    let figure = axis.estimate(standing.limit()?)?;
    Some(format!("limit {}{}", axis.text(figure.median), axis.unit()))
}

fn contenders<'a, 'b>(standing: &'b Standing<'a>) -> Vec<&'b Cell<'a>> {
    standing
        .cells
        .iter()
        .filter(|cell| !cell.contender.is_ceiling)
        .collect()
}

fn contenders_of(standings: &Standings<'_>) -> usize {
    standings
        .scenarios
        .first()
        .map_or(0, |standing| contenders(standing).len())
}

/// Rank and name of a row, and why it is not ranked by everything.
fn label(y: f64, cell: &Cell<'_>, axis: Axis) -> Markup {
    let why = cell.unranked_because();
    name(
        y,
        cell,
        axis.rank(cell),
        why.filter(|_| !cell.contender.is_ceiling),
    )
}

/// Rank and name of a row, with a word about it.
fn name(y: f64, cell: &Cell<'_>, rank: Option<usize>, word: Option<String>) -> Markup {
    let rank = rank.map(|rank| rank.to_string());
    html! {
        text.rank x="0" y=(y + TEXT) { (rank.as_deref().unwrap_or(figure::NONE)) }
        text.name x="22" y=(y + TEXT) {
            (cell.contender.name)
            @if let Some(word) = word { tspan.unit { "  " (word) } }
        }
    }
}

fn framed(
    title: &str,
    description: impl Iterator<Item = String>,
    rows: usize,
    drawn: impl Iterator<Item = Markup>,
) -> Markup {
    html! {
        svg.chart role="img" width="100%" height=(rows as f64 * ROW) {
            title { (title) }
            desc { (description.collect::<Vec<_>>().join("; ")) }
            @for row in drawn { (row) }
        }
    }
}

/// A share of the width.
fn place(share: f64) -> String {
    format!(
        "{:.2}%",
        if share.is_finite() {
            share * 100.0
        } else {
            0.0
        }
    )
}
