//! The timeline chart of a fault: a bar for each tenth of a second, with correct responses at the
//! bottom, contract errors and failures above.

use maud::{Markup, html};

use crate::result::FaultResult;

/// Height of the bars.
const HEIGHT: f64 = 44.0;

/// Height of the line that marks the duration of the fault.
const MARK: f64 = 4.0;

/// Style sheet of the charts and their legend.
pub(crate) const STYLE: &str = "
svg .correct { fill: var(--accent); }
svg .contract { fill: var(--upstream); }
svg .failed { fill: var(--warn); }
svg .duration { fill: var(--grey); }
.swatch.correct { background: var(--accent); }
.swatch.contract { background: var(--upstream); }
.swatch.failed { background: var(--warn); }
.swatch.duration { background: var(--grey); height: 4px; }
";

/// Renders the legend of all charts.
pub(crate) fn legend() -> Markup {
    html! {
        p.soft {
            span.legend {
                span { i.swatch.correct {} "correct" }
                span { i.swatch.contract {} "contract error" }
                span { i.swatch.failed {} "failed" }
                span { i.swatch.duration {} "fault" }
            }
        }
    }
}

/// Renders the chart of a fault with its name, verdict and description.
pub(crate) fn card(result: &FaultResult) -> Markup {
    html! {
        div.card {
            h3 { (result.fault) span.soft { (result.verdict.name()) } }
            (chart(result))
            p.soft { (result.description) }
        }
    }
}

fn chart(result: &FaultResult) -> Markup {
    let timeline = &result.timeline;
    let slices = timeline.correct.len();
    let parts = |slice: usize| {
        [
            ("correct", timeline.correct[slice]),
            ("contract", timeline.contract_errors[slice]),
            ("failed", timeline.failed[slice]),
        ]
    };
    let sum = |slice: usize| parts(slice).iter().map(|(_, count)| count).sum::<u32>();
    let highest = f64::from((0..slices).map(sum).max().unwrap_or(0).max(1));
    let width = 100.0 / slices.max(1) as f64;
    let title = format!("Answers over time, {}", result.fault);
    html! {
        svg.chart role="img" width="100%" height=(HEIGHT + 2.0 * MARK) {
            title { (title) }
            desc {
                (result.counts.correct) " correct, " (result.counts.contract_errors) " contract errors, "
                (result.counts.sent - result.counts.correct - result.counts.contract_errors) " failed"
            }
            rect.track x="0" y="0" width="100%" height=(HEIGHT) {}
            @for slice in 0..slices {
                @let x = slice as f64 * width;
                @for (class, y, height) in stacked(&parts(slice), highest) {
                    rect class=(class) x={ (format!("{x:.3}")) "%" } y=(format!("{y:.2}"))
                        width={ (format!("{width:.3}")) "%" } height=(format!("{height:.2}")) {}
                }
            }
            rect.duration x="0" y=(HEIGHT + MARK) height=(MARK)
                width={ (format!("{:.3}", (timeline.end as f64 * width).min(100.0))) "%" } {}
        }
    }
}

/// Stacks the parts of a bar from the bottom: class, top, height.
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
