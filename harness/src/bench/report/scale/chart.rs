//! Costs and memory over the number of connections, or else of workers: a small chart for each
//! contender and number of workers, all of a scenario with the same axes, each with the others in
//! the background.

use maud::{Markup, html};

use super::super::figure::{mebibytes, short, whole};
use super::super::logarithm;
use super::{Row, Scale};
use crate::bench::scenario::Scenario;

const WIDTH: f64 = 250.0;
const HEIGHT: f64 = 150.0;

/// Margins: left for the figures, below for the numbers, above and right for what stands out.
const LEFT: f64 = 52.0;
const BELOW: f64 = 18.0;
const ABOVE: f64 = 8.0;
const RIGHT: f64 = 8.0;

/// Parts that the upright axis is divided into.
const PARTS: u32 = 3;

/// What is drawn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Figure {
    Cost,
    Memory,
}

impl Figure {
    fn value(self, row: &Row<'_>) -> Option<f64> {
        match self {
            Self::Cost => row.cpu_us_per_request.map(|estimate| estimate.median),
            Self::Memory => row.rss_mean_bytes.map(|bytes| bytes as f64),
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Cost => "Processor time per request",
            Self::Memory => "Resident memory",
        }
    }

    fn text(self, value: f64) -> String {
        match self {
            Self::Cost => format!("{} µs", short(value)),
            Self::Memory => mebibytes(value as u64),
        }
    }
}

/// A contender's way through the numbers.
struct Curve {
    name: String,
    /// Number and figure.
    points: Vec<(f64, f64)>,
}

/// The charts of a scenario.
pub(super) fn charts(scale: &Scale, scenario: Scenario, figure: Figure) -> Markup {
    let (curves, unit) = curves(scale, scenario, figure);
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let numbers = logarithm::range(points().map(|(number, _)| *number));
    let highest = points().map(|(_, value)| *value).fold(0.0, f64::max);
    let place = |(number, value): (f64, f64)| {
        let x = LEFT + logarithm::share(number, numbers) * (WIDTH - LEFT - RIGHT);
        (x, upright(value / highest))
    };
    let line = |curve: &Curve| {
        let points = curve.points.iter().map(|point| {
            let (x, y) = place(*point);
            format!("{x:.1},{y:.1}")
        });
        points.collect::<Vec<_>>().join(" ")
    };
    html! {
        div.panels {
            @for (own, curve) in curves.iter().enumerate() {
                figure {
                    figcaption { (curve.name) }
                    svg.panel role="img" viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } {
                        title { (figure.title()) " of " (curve.name) ", " (scenario) }
                        desc { (described(curve, figure, unit)) }
                        @for part in 1..=PARTS {
                            @let share = f64::from(part) / f64::from(PARTS);
                            line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(upright(share)) y2=(upright(share)) {}
                            text.tick.end x=(LEFT - 6.0) y=(upright(share) + 4.0) { (figure.text(highest * share)) }
                        }
                        line.axis x1=(LEFT) x2=(WIDTH - RIGHT) y1=(HEIGHT - BELOW) y2=(HEIGHT - BELOW) {}
                        text.tick x=(LEFT) y=(HEIGHT - 4.0) { (whole(numbers.0)) }
                        text.tick.end x=(WIDTH - RIGHT) y=(HEIGHT - 4.0) { (whole(numbers.1)) " " (unit) }
                        @for (_, other) in curves.iter().enumerate().filter(|(index, _)| *index != own) {
                            polyline.other points=(line(other)) {}
                        }
                        polyline.p99 points=(line(curve)) {}
                        @for point in &curve.points {
                            @let (x, y) = place(*point);
                            circle.mark cx=(x) cy=(y) r="2.5" {
                                title { (whole(point.0)) " " (unit) ": " (figure.text(point.1)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Where a share of the highest figure is.
fn upright(share: f64) -> f64 {
    HEIGHT - BELOW - share * (HEIGHT - BELOW - ABOVE)
}

fn described(curve: &Curve, figure: Figure, unit: &str) -> String {
    let points = curve.points.iter();
    let points = points
        .map(|(number, value)| format!("{} at {} {unit}", figure.text(*value), whole(*number)));
    points.collect::<Vec<_>>().join(", ")
}

/// Over the connections if there are several numbers of them, else over the workers.
fn curves(scale: &Scale, scenario: Scenario, figure: Figure) -> (Vec<Curve>, &'static str) {
    let over_connections = scale.numbers(|plan| plan.connections).len() > 1;
    let has_workers = scale.numbers(|plan| plan.workers).len() > 1;
    let mut curves: Vec<Curve> = Vec::new();
    for row in scale.rows_of(scenario) {
        let name = match over_connections && has_workers {
            true => format!("{}, {} workers", row.contender, row.workers),
            false => row.contender.to_owned(),
        };
        let number = match over_connections {
            true => row.connections,
            false => row.workers,
        };
        let Some(value) = figure.value(&row) else {
            continue;
        };
        let point = (number as f64, value);
        match curves.last_mut().filter(|curve| curve.name == name) {
            Some(curve) => curve.points.push(point),
            None => curves.push(Curve {
                name,
                points: vec![point],
            }),
        }
    }
    let unit = match over_connections {
        true => "connections",
        false => "workers",
    };
    (curves, unit)
}
