//! Costs and memory over the number of connections, or else of workers: a small chart for each
//! contender and what else differs, all of a scenario with the same axes, each with the others in the
//! background.

use maud::{Markup, html};

use super::super::figure::{mebibytes, short, whole};
use super::super::logarithm;
use super::super::panel::{Frame, line, panel, x, y};
use super::{Row, Scale};
use crate::scenario::Scenario;

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
    let place = |point: &(f64, f64)| (x(point.0, numbers), y(point.1 / highest));
    let points_of = |curve: &Curve| line(curve.points.iter().map(place));
    let across = (1..=PARTS).map(|part| {
        let share = f64::from(part) / f64::from(PARTS);
        (share, figure.text(highest * share))
    });
    let across: Vec<_> = across.collect();
    let drawn = curves.iter().enumerate().map(|(own, curve)| {
        let others = curves.iter().enumerate().filter(|(index, _)| *index != own);
        let frame = Frame {
            title: &format!("{} of {}, {scenario}", figure.title(), curve.name),
            description: &described(curve, figure, unit),
            across: &across,
            ends: [whole(numbers.0), format!("{} {unit}", whole(numbers.1))],
        };
        let lines = html! {
            @for (_, other) in others { polyline.other points=(points_of(other)) {} }
            polyline.p99 points=(points_of(curve)) {}
            @for point in &curve.points {
                @let (x, y) = place(point);
                circle.mark cx=(x) cy=(y) r="2.5" {
                    title { (whole(point.0)) " " (unit) ": " (figure.text(point.1)) }
                }
            }
        };
        (curve, panel(&frame, &lines))
    });
    html! {
        div.panels {
            @for (curve, panel) in drawn {
                figure {
                    figcaption { (curve.name) }
                    (panel)
                }
            }
        }
    }
}

fn described(curve: &Curve, figure: Figure, unit: &str) -> String {
    let points = curve.points.iter();
    let points = points
        .map(|(number, value)| format!("{} at {} {unit}", figure.text(*value), whole(*number)));
    points.collect::<Vec<_>>().join(", ")
}

/// Over the connections if there are several numbers of them, else over the workers.
fn curves(scale: &Scale, scenario: Scenario, figure: Figure) -> (Vec<Curve>, &'static str) {
    let over_connections = scale.differs_in(|plan| plan.connections);
    let has_workers = over_connections && scale.differs_in(|plan| plan.workers);
    let mut curves: Vec<Curve> = Vec::new();
    for row in scale.rows_of(scenario) {
        let mut name = row.contender.to_owned();
        if has_workers {
            name += &format!(", {} workers", row.workers);
        }
        let number = match over_connections {
            true => row.connections,
            false => row.workers,
        };
        let Some(value) = figure.value(&row) else {
            continue;
        };
        let point = (number as f64, value);
        match curves.iter_mut().find(|curve| curve.name == name) {
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
