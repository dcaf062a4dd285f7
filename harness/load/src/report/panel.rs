//! A small chart: a frame with lines across, over an axis that is logarithmic.

use maud::{Markup, html};

use super::logarithm;

const WIDTH: f64 = 250.0;
const HEIGHT: f64 = 150.0;

/// Margins: left for the figures, below for the axis, above and right for what stands out.
const LEFT: f64 = 52.0;
const BELOW: f64 = 18.0;
const ABOVE: f64 = 8.0;
const RIGHT: f64 = 8.0;

/// What is around the curves.
pub(super) struct Frame<'a> {
    pub(super) title: &'a str,
    /// What is drawn, in words.
    pub(super) description: &'a str,
    /// Lines across: how high as a share of the height, and what stands beside them.
    pub(super) across: &'a [(f64, String)],
    /// What stands at both ends of the axis.
    pub(super) ends: [String; 2],
}

/// The chart.
pub(super) fn panel(frame: &Frame<'_>, curves: &Markup) -> Markup {
    let right = WIDTH - RIGHT;
    let [from, to] = &frame.ends;
    html! {
        svg.panel role="img" viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } {
            title { (frame.title) }
            desc { (frame.description) }
            @for (share, text) in frame.across {
                line.grid x1=(LEFT) x2=(right) y1=(y(*share)) y2=(y(*share)) {}
                text.tick.end x=(LEFT - 6.0) y=(y(*share) + 4.0) { (text) }
            }
            line.axis x1=(LEFT) x2=(right) y1=(HEIGHT - BELOW) y2=(HEIGHT - BELOW) {}
            text.tick x=(LEFT) y=(HEIGHT - 4.0) { (from) }
            text.tick.end x=(right) y=(HEIGHT - 4.0) { (to) }
            (curves)
        }
    }
}

/// Where a value on the axis is.
pub(super) fn x(value: f64, range: (f64, f64)) -> f64 {
    LEFT + logarithm::share(value, range) * (WIDTH - LEFT - RIGHT)
}

/// Where a share of the height is.
pub(super) fn y(share: f64) -> f64 {
    HEIGHT - BELOW - share * (HEIGHT - BELOW - ABOVE)
}

/// The points of a line.
pub(super) fn line(points: impl Iterator<Item = (f64, f64)>) -> String {
    let points = points.map(|(x, y)| format!("{x:.1},{y:.1}"));
    points.collect::<Vec<_>>().join(" ")
}
