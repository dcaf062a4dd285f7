//! Latency over the rate of requests in open loop: a small chart for each contender, all of a
//! scenario with the same axes, each with the others in the background.

use maud::{Markup, html};

use super::super::cell::combined;
use super::super::record::{Attempt, Bottleneck, Latency, Pace};
use super::super::results::Results;
use super::super::scenario::Scenario;
use super::super::statistics::{Estimate, median};
use super::figure;
use super::logarithm::{range, share};
use super::panel::{Frame, line, panel, x, y};

/// Below this share of the asked rate a contender no longer keeps up.
const KEEPS_UP: f64 = 0.97;

/// A contender at a rate: medians of its rounds.
#[derive(Clone, Debug)]
pub(super) struct Point {
    /// Requests per second that were asked for.
    pub(super) asked: f64,
    /// Right answers per second.
    pub(super) answered: f64,
    /// Latencies.
    pub(super) latency: Latency,
    /// The 99th percentile, with its interval.
    pub(super) p99_ms: Estimate,
    /// Of all rounds.
    pub(super) bottleneck: Option<Bottleneck>,
}

impl Point {
    /// Whether as much was answered as was asked for.
    pub(super) fn keeps_up(&self) -> bool {
        self.answered >= self.asked * KEEPS_UP
    }
}

/// A contender's way through the rates of a scenario.
#[derive(Clone, Debug)]
pub(super) struct Curve<'a> {
    /// Its name.
    pub(super) contender: &'a str,
    /// By rate.
    pub(super) points: Vec<Point>,
}

/// The curves of a scenario, in the order of the plan; of those that were asked in open loop.
pub(super) fn curves(results: &Results, scenario: Scenario) -> Vec<Curve<'_>> {
    let contenders = results.run.plan.contenders.iter();
    let curves = contenders.map(|contender| Curve {
        contender: &contender.name,
        points: points(results, &contender.name, scenario),
    });
    curves.filter(|curve| !curve.points.is_empty()).collect()
}

fn points(results: &Results, contender: &str, scenario: Scenario) -> Vec<Point> {
    let mut open: Vec<(f64, &Attempt)> = Vec::new();
    for attempt in &results.attempts {
        match attempt.pace {
            Pace::Open(rate) if attempt.contender == contender && attempt.scenario == scenario => {
                open.push((rate, attempt));
            }
            _ => {}
        }
    }
    open.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    let rounds = open.chunk_by(|(one, _), (other, _)| (one - other).abs() < 0.5);
    rounds.filter_map(point).collect()
}

fn point(rounds: &[(f64, &Attempt)]) -> Option<Point> {
    let (asked, _) = *rounds.first()?;
    let answered = rounds
        .iter()
        .filter(|(_, attempt)| attempt.measured.requests > 0);
    let answered: Vec<_> = answered.map(|(_, attempt)| *attempt).collect();
    let all = |figure: &dyn Fn(&Attempt) -> f64| -> Vec<f64> {
        answered.iter().map(|attempt| figure(attempt)).collect()
    };
    let of = |figure: &dyn Fn(&Attempt) -> f64| median(&all(figure));
    let p99_ms = Estimate::of(&all(&|attempt| attempt.measured.latency.p99_ms))?;
    let latency = |figure: fn(&Latency) -> f64| of(&|attempt| figure(&attempt.measured.latency));
    let told = |figure: fn(&Latency) -> Option<f64>| {
        of(&|attempt| figure(&attempt.measured.latency).unwrap_or(f64::NAN))
    };
    let bottlenecks: Vec<_> = rounds
        .iter()
        .map(|(_, attempt)| attempt.bottleneck)
        .collect();
    Some(Point {
        asked,
        answered: of(&|attempt| attempt.measured.requests_per_sec())?,
        latency: Latency {
            mean_ms: latency(|of| of.mean_ms)?,
            min_ms: told(|of| of.min_ms),
            p50_ms: told(|of| of.p50_ms),
            p75_ms: told(|of| of.p75_ms),
            p90_ms: told(|of| of.p90_ms),
            p95_ms: told(|of| of.p95_ms),
            p99_ms: p99_ms.median,
            p99_9_ms: told(|of| of.p99_9_ms),
            max_ms: told(|of| of.max_ms),
        },
        p99_ms,
        bottleneck: combined(&bottlenecks),
    })
}

/// Both axes, logarithmic, of all charts of a scenario.
struct Axes {
    rates: (f64, f64),
    latencies: (f64, f64),
}

impl Axes {
    fn of(curves: &[Curve<'_>]) -> Self {
        let points = || curves.iter().flat_map(|curve| &curve.points);
        let tail = |point: &Point| point.latency.p99_9_ms.unwrap_or(point.latency.p99_ms);
        let (low, _) = range(points().filter_map(|point| point.latency.p50_ms));
        let (_, high) = range(points().map(tail));
        Self {
            rates: range(points().map(|point| point.asked)),
            latencies: (low, high),
        }
    }

    fn place(&self, rate: f64, ms: f64) -> (f64, f64) {
        (x(rate, self.rates), y(share(ms, self.latencies)))
    }

    /// Powers of ten within the latencies.
    fn decades(&self) -> Vec<f64> {
        let decades = (-4..=6).map(|power| 10_f64.powi(power));
        let (low, high) = self.latencies;
        decades.filter(|ms| (low..=high).contains(ms)).collect()
    }
}

/// A chart for each curve.
pub(super) fn charts(scenario: Scenario, curves: &[Curve<'_>]) -> Markup {
    let axes = Axes::of(curves);
    html! {
        div.panels {
            @for (index, curve) in curves.iter().enumerate() {
                figure {
                    figcaption { (curve.contender) }
                    (chart(scenario, &axes, curves, index))
                }
            }
        }
    }
}

fn chart(scenario: Scenario, axes: &Axes, curves: &[Curve<'_>], own: usize) -> Markup {
    let curve = &curves[own];
    let others = curves.iter().enumerate().filter(|(index, _)| *index != own);
    let of = |curve: &Curve<'_>, ms: fn(&Latency) -> Option<f64>| {
        let points = curve.points.iter();
        line(points.filter_map(|point| Some(axes.place(point.asked, ms(&point.latency)?))))
    };
    let p99 = |latency: &Latency| Some(latency.p99_ms);
    let description = curve.points.iter().map(|point| {
        let ms = figure::latency(point.latency.p99_ms);
        format!("{ms} at {}/s", figure::whole(point.asked))
    });
    let across = axes.decades().into_iter();
    let across = across.map(|ms| (share(ms, axes.latencies), figure::latency(ms)));
    let frame = Frame {
        title: &format!("Latency of {} in open loop, {scenario}", curve.contender),
        description: &format!(
            "99th percentile: {}",
            description.collect::<Vec<_>>().join(", ")
        ),
        across: &across.collect::<Vec<_>>(),
        ends: [
            figure::rate(axes.rates.0),
            format!("{}/s", figure::rate(axes.rates.1)),
        ],
    };
    let lines = html! {
        @for (_, other) in others { polyline.other points=(of(other, p99)) {} }
        polyline.p50 points=(of(curve, |latency| latency.p50_ms)) {}
        polyline.p999 points=(of(curve, |latency| latency.p99_9_ms)) {}
        polyline.p99 points=(of(curve, p99)) {}
        @for point in &curve.points {
            @let (x, y) = axes.place(point.asked, point.latency.p99_ms);
            circle class=(if point.keeps_up() { "mark" } else { "mark behind" }) cx=(x) cy=(y) r="2.5" {
                title { (figure::whole(point.asked)) "/s: p99 " (figure::latency(point.latency.p99_ms)) }
            }
        }
    };
    panel(&frame, &lines)
}

#[cfg(test)]
mod tests {
    use super::super::super::sample;
    use super::*;

    #[test]
    fn rounds_at_a_rate_are_one_point() {
        let results = sample::results();
        let curves = curves(&results, Scenario::Info);
        let flask = curves
            .iter()
            .find(|curve| curve.contender == "flask")
            .unwrap();
        let asked: Vec<_> = flask.points.iter().map(|point| point.asked).collect();
        // Quarters of its own 13,000, which is the slowest rate, and the end of its sweep.
        assert_eq!(asked, [3250.0, 6500.0, 9750.0, 13_000.0]);
        assert!(flask.points[0].keeps_up());
    }

    #[test]
    fn without_open_loops_there_is_no_curve() {
        let mut results = sample::results();
        results
            .attempts
            .retain(|attempt| attempt.pace == Pace::Closed);
        assert!(curves(&results, Scenario::Info).is_empty());
    }

    #[test]
    fn a_logarithmic_axis_has_ten_halfway_between_one_and_a_hundred() {
        assert!((share(10.0, (1.0, 100.0)) - 0.5).abs() < 1e-12);
        assert_eq!(share(0.0, (1.0, 100.0)), 0.0);
        assert_eq!(range([5.0].into_iter()), (2.5, 10.0));
        assert_eq!(range([].into_iter()), (0.5, 2.0));
    }
}
