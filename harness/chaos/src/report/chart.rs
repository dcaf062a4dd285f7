//! How a fault went over its time: a column for each tenth of a second, right answers at the bottom,
//! errors of the contract and failures above them.

use maud::{Markup, html};

use super::super::row::Row;

/// Height of the chart, and of the line that marks how long the fault lasted.
const HEIGHT: f64 = 44.0;
const MARK: f64 = 4.0;

/// Colours of the parts, in the page's own.
pub(super) const STYLE: &str = "
svg .right { fill: var(--accent); }
svg .contract { fill: var(--upstream); }
svg .failed { fill: var(--warn); }
svg .lasted { fill: var(--grey); }
.swatch.right { background: var(--accent); }
.swatch.contract { background: var(--upstream); }
.swatch.failed { background: var(--warn); }
.swatch.lasted { background: var(--grey); height: 4px; }
";

/// The chart of a row.
pub(super) fn timeline(row: &Row) -> Markup {
    let timeline = &row.timeline;
    let slices = timeline.right.len();
    let parts = |slice: usize| {
        [
            ("right", timeline.right[slice]),
            ("contract", timeline.contract_errors[slice]),
            ("failed", timeline.failed[slice]),
        ]
    };
    let sum = |slice: usize| parts(slice).iter().map(|(_, count)| count).sum::<u32>();
    let highest = f64::from((0..slices).map(sum).max().unwrap_or(0).max(1));
    let width = 100.0 / slices.max(1) as f64;
    let title = format!("Answers over time, {}", row.fault);
    html! {
        svg.chart role="img" width="100%" height=(HEIGHT + 2.0 * MARK) {
            title { (title) }
            desc {
                (row.counts.right) " right, " (row.counts.contract_errors) " errors of the contract, "
                (row.counts.sent - row.counts.right - row.counts.contract_errors) " failed"
            }
            rect.track x="0" y="0" width="100%" height=(HEIGHT) {}
            @for slice in 0..slices {
                @let x = slice as f64 * width;
                @for (class, y, height) in stacked(&parts(slice), highest) {
                    rect class=(class) x={ (format!("{x:.3}")) "%" } y=(format!("{y:.2}"))
                        width={ (format!("{width:.3}")) "%" } height=(format!("{height:.2}")) {}
                }
            }
            rect.lasted x="0" y=(HEIGHT + MARK) height=(MARK)
                width={ (format!("{:.3}", (timeline.end as f64 * width).min(100.0))) "%" } {}
        }
    }
}

/// The parts of a column, each on top of the one before: its class, where it begins, how high it is.
fn stacked(parts: &[(&'static str, u32)], highest: f64) -> Vec<(&'static str, f64, f64)> {
    let mut top = HEIGHT;
    let some = parts.iter().filter(|(_, count)| *count > 0);
    let place = some.map(|(class, count)| {
        let height = f64::from(*count) / highest * HEIGHT;
        top -= height;
        (*class, top, height)
    });
    place.collect()
}
