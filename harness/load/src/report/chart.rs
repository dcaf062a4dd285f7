//! The chart: CPU time per request of every contender, by scenario. Bars have widths in percent, so
//! that letters keep their size at every width.

use maud::{Markup, PreEscaped, html};

use super::super::cell::Cell;
use super::super::standings::{Standing, Standings};
use super::facts;
use testbed::number::{NONE, or_none, short};

/// The style of the chart, which contains its colours.
pub(super) const STYLE: &str = include_str!("chart.css");

/// Height of a row, baseline of its text, and top and height of its bar.
const ROW: f64 = 38.0;
const TEXT: f64 = 14.0;
const BAR: f64 = 21.0;
const THICKNESS: f64 = 8.0;

/// Width of the chart, its margin and the gap between its columns.
const WIDTH: f64 = 960.0;
const MARGIN: f64 = 32.0;

/// Height above the first scenario.
const HEAD: f64 = 84.0;

/// Height of the name of a scenario and of the gap below its bars.
const SCENARIO: f64 = 66.0;

const TITLE: &str = "CPU time per request";

/// Renders the chart as an SVG picture with a background of its own, for light and dark pages.
pub(super) fn picture(standings: &Standings<'_>) -> Markup {
    let has_values = |standing: &&Standing<'_>| {
        let mut cells = standing.cells.iter();
        cells.any(|cell| cell.cpu_us_per_request.is_some())
    };
    let scenarios: Vec<_> = standings.scenarios.iter().filter(has_values).collect();
    let rows = scenarios
        .iter()
        .map(|standing| contenders(standing).count());
    let rows = rows.max().unwrap_or(0) as f64;
    let column = (WIDTH - 3.0 * MARGIN) / 2.0;
    let each = rows * ROW + SCENARIO;
    let height = HEAD + scenarios.len().div_ceil(2).max(1) as f64 * each;
    let run = &standings.runs[0].run;
    html! {
        svg.picture xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (WIDTH) " " (height) } width=(WIDTH) height=(height) role="img" {
            title { (TITLE) }
            desc { (facts::headline(standings)) }
            style { (PreEscaped(STYLE)) }
            rect.ground x="0.5" y="0.5" width=(WIDTH - 1.0) height=(height - 1.0) rx="8" {}
            text.heading x=(MARGIN) y="42" { (TITLE) }
            text.note x=(MARGIN) y="62" {
                "µs, less is better; median and 95 % interval of " (run.plan.rounds) " rounds; grey: not server-bound"
            }
            text.note.end x=(WIDTH - MARGIN) y="42" { (run.machine.cpu) }
            @if scenarios.is_empty() {
                text.note x=(MARGIN) y=(HEAD + 32.0) { (facts::headline(standings)) }
            }
            @for (index, standing) in scenarios.iter().enumerate() {
                @let x = MARGIN + (index % 2) as f64 * (column + MARGIN);
                @let y = HEAD + (index / 2) as f64 * each;
                text.name.strong x=(x) y=(y + 20.0) { (standing.scenario) }
                @if let Some(ceiling) = ceiling(standing) {
                    text.note.end x=(x + column) y=(y + 20.0) { "│ ceiling " (short(ceiling)) " µs" }
                }
                svg x=(x) y=(y + 34.0) width=(column) height=(rows * ROW) { (bars(standings, standing)) }
            }
        }
    }
}

/// Renders the bars of a scenario with their intervals, and the ceiling as a mark on each.
fn bars(standings: &Standings<'_>, standing: &Standing<'_>) -> Markup {
    let highs = contenders(standing).filter_map(|cell| cell.cpu_us_per_request);
    let highest = highs.map(|estimate| estimate.high).fold(0.0, f64::max);
    let width = |value: f64| match value / highest * 100.0 {
        percent if percent.is_finite() => format!("{percent:.2}%"),
        _ => "0%".to_owned(),
    };
    html! {
        @for (index, cell) in contenders(standing).enumerate() {
            @let y = index as f64 * ROW;
            @let middle = y + BAR + THICKNESS / 2.0;
            text.rank x="0" y=(y + TEXT) { (or_none(cell.cpu_rank, |rank| rank.to_string())) }
            text.name x="22" y=(y + TEXT) {
                (cell.contender.name) (standings.point_suffix(cell.point))
                @if cell.class().is_some() { tspan.unit { "  " (cell.state()) } }
            }
            text.value x="100%" y=(y + TEXT) {
                @match cell.cpu_us() {
                    Some(cpu_us) => { (short(cpu_us)) tspan.unit { " µs" } }
                    None => (NONE),
                }
            }
            @if let Some(cpu) = cell.cpu_us_per_request {
                rect.track x="0" y=(y + BAR) width="100%" height=(THICKNESS) rx="2" {}
                rect class={ "bar " (cell.class().unwrap_or_default()) } x="0" y=(y + BAR) width=(width(cpu.median)) height=(THICKNESS) rx="2" {}
                @if cpu.count > 1 {
                    line.whisker x1=(width(cpu.low)) x2=(width(cpu.high)) y1=(middle) y2=(middle) {}
                    @for end in [cpu.low, cpu.high] {
                        line.whisker x1=(width(end)) x2=(width(end)) y1=(y + BAR + 1.0) y2=(y + BAR + THICKNESS - 1.0) {}
                    }
                }
                @if let Some(ceiling) = ceiling(standing) {
                    line.ceiling x1=(width(ceiling)) x2=(width(ceiling)) y1=(y + BAR - 2.0) y2=(y + BAR + THICKNESS + 3.0) {}
                }
            }
        }
    }
}

fn contenders<'a, 'b>(standing: &'b Standing<'a>) -> impl Iterator<Item = &'b Cell<'a>> {
    let cells = standing.cells.iter();
    cells.filter(|cell| !cell.contender.is_ceiling())
}

fn ceiling(standing: &Standing<'_>) -> Option<f64> {
    let mut cells = standing.cells.iter();
    cells.find(|cell| cell.contender.is_ceiling())?.cpu_us()
}
