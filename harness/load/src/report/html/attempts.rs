//! Every attempt of the closed loops: what everybody used, and how it went over its time.

use std::fmt::Write;

use maud::{Markup, html};

use super::super::super::record::{Attempt, Timeline};
use super::super::super::scenario::Scenario;
use super::super::figure::{mebibytes, or_none, percent, short, whole};

/// Size of the picture of one attempt.
const WIDTH: f64 = 120.0;
const HEIGHT: f64 = 24.0;

/// The attempts of a scenario.
pub(super) fn table(scenario: Scenario, attempts: &[&Attempt]) -> Markup {
    let most = attempts
        .iter()
        .flat_map(|attempt| parties(&attempt.usage.timeline).map(|(_, cpus)| highest(cpus)))
        .fold(1.0, f64::max);
    html! {
        div.scroll {
            table {
                caption { "Every attempt of " (scenario) }
                thead {
                    tr {
                        th.text scope="col" { "Attempt" }
                        th.text scope="col" { "Processors used" }
                        @for name in ["Requests", "Contender s", "Engine s", "Upstream s", "Postgres s", "Memory", "Switches/req", "Load", "Steal", "Others"] {
                            th scope="col" { (name) }
                        }
                        th.text scope="col" { "Bottleneck" }
                    }
                }
                tbody { @for attempt in attempts { (row(attempt, most)) } }
            }
        }
    }
}

fn row(attempt: &Attempt, most: f64) -> Markup {
    let (measured, usage) = (&attempt.measured, &attempt.usage);
    let switches = usage.contender.context_switches;
    let switches = switches.map(|switches| switches as f64 / measured.requests.max(1) as f64);
    html! {
        tr {
            th.text scope="row" { (attempt.contender) small { "round " (attempt.round) } }
            td.text {
                @match usage.sampled {
                    None => (picture(attempt, most)),
                    Some(sampled) => { "mean " (short(sampled.mean)) small { "peak " (short(sampled.peak)) } }
                }
            }
            td { (whole(measured.requests as f64)) }
            @for usage in [&usage.contender, &usage.generator, &usage.upstream, &usage.postgres] {
                td { (or_none(usage.cpu_secs, short)) }
            }
            td { (or_none(usage.contender.rss_peak_bytes, mebibytes)) small { "mean " (or_none(usage.contender.rss_mean_bytes, mebibytes)) } }
            td { (or_none(switches, short)) }
            td { (or_none(usage.load_1min, short)) }
            td { (or_none(usage.steal, percent)) }
            td { (or_none(usage.foreign, percent)) }
            td.text { (attempt.bottleneck.name()) }
        }
    }
}

/// Who used how much of a processor, over the time of an attempt.
fn picture(attempt: &Attempt, most: f64) -> Markup {
    let timeline = &attempt.usage.timeline;
    let label = format!(
        "Processor time of {}, round {}, over the attempt",
        attempt.contender, attempt.round
    );
    html! {
        svg.spark width=(WIDTH) height=(HEIGHT) viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(label) {
            @for (class, cpus) in parties(timeline) {
                @if highest(cpus) > 0.0 { polyline class=(class) points=(points(cpus, most)) {} }
            }
        }
    }
}

fn parties(timeline: &Timeline) -> [(&'static str, &[f64]); 4] {
    [
        ("postgres", &timeline.postgres),
        ("upstream", &timeline.upstream),
        ("engine", &timeline.generator),
        ("contender", &timeline.contender),
    ]
}

fn highest(cpus: &[f64]) -> f64 {
    cpus.iter().copied().fold(0.0, f64::max)
}

/// A line from left to right, `most` at the top.
fn points(cpus: &[f64], most: f64) -> String {
    let step = WIDTH / (cpus.len().max(2) - 1) as f64;
    let mut points = String::new();
    for (index, cpu) in cpus.iter().enumerate() {
        let (x, y) = (index as f64 * step, HEIGHT - cpu / most * HEIGHT);
        let _ = write!(points, "{x:.0},{y:.0} ");
    }
    points.truncate(points.trim_end().len());
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_begins_at_the_left_and_is_as_high_as_what_was_used() {
        assert_eq!(points(&[0.0, 1.0, 0.5], 1.0), "0,24 60,0 120,12");
        assert_eq!(points(&[1.0, 1.0], 2.0), "0,12 120,12");
        assert_eq!(points(&[], 1.0), "");
    }
}
