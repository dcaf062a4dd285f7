//! The report as one page: nothing is loaded from elsewhere, and only sorting needs its script.

mod attempts;
mod table;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::super::record::Run;
use super::super::results::Results;
use super::super::standings::{Standing, Standings};
use super::super::statistics::Estimate;
use super::axis::Axis;
use super::facts;
use super::figure::{interval, percent, short, whole};
use super::{chart, latency};

const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/sort.js");

/// The page.
pub(super) fn page(results: &Results, standings: &Standings<'_>) -> String {
    let run = &results.run;
    let title = format!("{} on {}", facts::title(results), run.machine.cpu);
    let axis = Axis::of(standings);
    let content = html! {
        main {
            (headline(results, standings))
            @if results.closed().next().is_some() {
                (overview(standings, axis))
                @for standing in &standings.scenarios { (figures(standing, standings)) }
                @if standings.cells().any(|cell| cell.split.is_some()) { (split(standings)) }
                @if axis == Axis::Cost { (noise(standings)) }
                (every_attempt(results))
            }
            (open_loop(results))
            (calibrations(results))
            (checks(results))
            @if !results.attempts.is_empty() || !results.failures.is_empty() { (warnings(results)) }
            (setting(run, facts::method(run)))
        }
        script { (PreEscaped(SCRIPT)) }
    };
    framed(&title, "", &content)
}

/// A page of this title around its content, which may need more styles.
pub fn framed(title: &str, style: &str, content: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(chart::STYLE)) (PreEscaped(STYLE)) (PreEscaped(style)) }
            }
            body { (content) }
        }
    };
    page.into_string()
}

fn headline(results: &Results, standings: &Standings<'_>) -> Markup {
    let run = &results.run;
    html! {
        header {
            p.over { "API framework benchmark · " (run.machine.host) " · " (run.started_at.get(..10).unwrap_or(&run.started_at)) }
            h1 { (facts::title(results)) " on " (run.machine.cpu) }
            p.lead { (facts::headline(results, standings)) }
            @for warning in facts::warnings(results, standings) { p.warning { (warning) } }
            p.soft { (facts::plans(&[&run.plan])) }
        }
    }
}

fn overview(standings: &Standings<'_>, axis: Axis) -> Markup {
    html! {
        section {
            h2 { (axis.title()) }
            p.soft {
                @match axis {
                    Axis::Cost => "Microseconds, less is better: median of all rounds with its 95 % interval. The mark across each bar is the physical limit. ",
                    Axis::Rate => "More is better: median of all rounds with its 95 % interval. ",
                }
                "Grey was not server-bound; a dashed outline failed its checks and is not ranked."
            }
            div.cards { @for standing in &standings.scenarios { (card(standing, chart::limit_note(standing, axis), &chart::bars(standing, axis))) } }
        }
    }
}

fn card(standing: &Standing<'_>, note: Option<String>, content: &Markup) -> Markup {
    let scenario = standing.scenario;
    html! {
        div.card {
            h3 {
                (scenario) " " span.soft { (scenario.method()) " " (scenario.path()) }
                @if let Some(note) = note { span.soft.note { "│ " (note) } }
            }
            (content)
        }
    }
}

fn figures(standing: &Standing<'_>, standings: &Standings<'_>) -> Markup {
    let scenario = standing.scenario;
    html! {
        section {
            h2 id=(scenario) { (scenario) " " span.soft { (scenario.method()) " " (scenario.path()) } }
            @if let Some(ceiling) = standing.ceiling {
                p.soft { "The engine's own ceiling, against the limit: " (whole(ceiling)) " requests/s." }
            }
            (table::figures(standing, standings.baseline))
            details {
                summary { "By the published rules: the best attempt of each" }
                (table::best(standing, standings.baseline))
            }
        }
    }
}

fn split(standings: &Standings<'_>) -> Markup {
    html! {
        section {
            h2 { "Who pays for a request" }
            p.soft {
                "Processor time per request of everybody, in microseconds; on the right the sum."
                span.legend {
                    @for (class, name) in [("contender", "contender"), ("engine", "engine"), ("upstream", "upstream"), ("postgres", "Postgres")] {
                        span { i class={ "swatch " (class) } {} (name) }
                    }
                }
            }
            div.cards { @for standing in &standings.scenarios { (card(standing, None, &chart::split(standing))) } }
        }
    }
}

fn noise(standings: &Standings<'_>) -> Markup {
    let reach = chart::reach(standings);
    html! {
        section {
            h2 { "Noise" }
            p.soft {
                "A dot is a round's processor time per request against the median of its cell, up to "
                (percent(reach)) " on either side. The band is 10 % wide; on the right the spread."
            }
            div.cards.small { @for standing in &standings.scenarios { (card(standing, None, &chart::noise(standing, reach))) } }
        }
    }
}

fn every_attempt(results: &Results) -> Markup {
    html! {
        section {
            h2 { "Every attempt" }
            p.soft {
                @match results.run.imported {
                    None => "In closed loop. The lines are the processors that everybody used, ten times a second; memory is the contender's, its largest and its mean; others are programs that have no part in it.",
                    Some(_) => "In closed loop. Processors used are samples of the contender's; memory is its largest and its mean.",
                }
            }
            @for scenario in &results.run.plan.scenarios {
                @let attempts: Vec<_> = results.closed().filter(|attempt| attempt.scenario == *scenario).collect();
                details {
                    summary { "Attempts of " (scenario) }
                    (attempts::table(*scenario, &attempts))
                }
            }
        }
    }
}

fn open_loop(results: &Results) -> Markup {
    let scenarios = results.run.plan.scenarios.iter();
    let curves = scenarios.map(|scenario| (*scenario, latency::curves(results, *scenario)));
    let curves: Vec<_> = curves.filter(|(_, curves)| !curves.is_empty()).collect();
    html! {
        @if !curves.is_empty() {
            section {
                h2 { "Latency at a given rate" }
                p.soft {
                    "Open loop, same rates for everyone, both axes logarithmic. A ring marks a rate that was not kept up with. Medians of all rounds."
                    span.legend {
                        span { i.stroke.p50 {} "p50" }
                        span { i.stroke.p99 {} "p99" }
                        span { i.stroke.p999 {} "p99.9" }
                        span { i.stroke.other {} "p99 of the others" }
                    }
                }
                @for (scenario, curves) in &curves {
                    h3.apart { (scenario) }
                    (latency::charts(*scenario, curves))
                    details {
                        summary { "Figures of " (scenario) }
                        (table::open_loop(curves))
                    }
                }
            }
        }
    }
}

fn calibrations(results: &Results) -> Markup {
    html! {
        @if !results.calibrations.is_empty() {
            section {
                h2 { "The engine on its own" }
                p.soft { (results.run.plan.engine) " against the limit, before the run: its own ceiling." }
                (table::calibrations(&results.calibrations))
            }
        }
    }
}

fn checks(results: &Results) -> Markup {
    let contenders = &results.run.plan.contenders;
    let failed = contenders.iter().flat_map(|contender| {
        let checks = results.failed_checks(&contender.name).into_iter();
        checks.map(|check| {
            [
                contender.name.clone(),
                check.slug.clone(),
                check.expected.clone(),
                check.actual.clone(),
            ]
        })
    });
    let declared = contenders.iter().flat_map(|contender| {
        let deviations = contender.deviations.iter();
        deviations.map(|(slug, why)| [contender.name.clone(), slug.clone(), why.clone()])
    });
    let (failed, declared): (Vec<_>, Vec<_>) = (failed.collect(), declared.collect());
    html! {
        section {
            h2 id="checks" { "Checks and deviations" }
            @if results.starts.is_empty() {
                p { "No contender was checked yet." }
            } @else if failed.is_empty() {
                p { "No check of level work failed." }
            } @else {
                (table::words(["contender", "failed check", "expected", "came"], &failed))
            }
            @if declared.is_empty() {
                p { "No deviation was declared." }
            } @else {
                (table::words(["contender", "declared deviation", "why"], &declared))
            }
        }
    }
}

fn warnings(results: &Results) -> Markup {
    let failures = results.failures.iter().map(|failure| {
        [
            format!("{}, round {}", failure.contender, failure.round),
            failure.error.clone(),
        ]
    });
    let wrong = facts::wrong_answers(results)
        .into_iter()
        .map(|(place, kinds)| [place, kinds]);
    let warnings = facts::attempt_warnings(results)
        .into_iter()
        .map(|(place, warning)| [place, warning.to_owned()]);
    let (failures, rest): (Vec<_>, Vec<_>) = (failures.collect(), wrong.chain(warnings).collect());
    html! {
        section {
            h2 { "Failures and warnings" }
            @if !failures.is_empty() { (table::words(["round", "what happened"], &failures)) }
            @if rest.is_empty() {
                p { "Nothing was found that does not add up: neither by Little's law (connections are rate × mean latency) nor, where the server's side counts, by its count." }
            } @else {
                (table::words(["attempt", "what does not add up"], &rest))
            }
        }
    }
}

/// Where and how it was measured.
pub(super) fn setting(run: &Run, method: &[&str]) -> Markup {
    html! {
        section {
            h2 { "Machine and command" }
            dl { @for (name, value) in facts::machine(run) { div { dt { (name) } dd { (value) } } } }
            pre { code { (facts::command(run)) } }
        }
        section {
            h2 { "Method" }
            ol { @for line in method { li { (code(line)) } } }
        }
    }
}

/// A line with its names between backticks set as code.
fn code(line: &str) -> Markup {
    let parts = line.split('`').enumerate();
    html! {
        @for (index, part) in parts {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// A figure and, smaller, its interval.
fn with_interval(estimate: &Estimate, figure: fn(f64) -> String) -> Markup {
    html! {
        (figure(estimate.median))
        @if let Some(interval) = interval(estimate, figure) { small { (interval) } }
    }
}

/// A figure with three digits.
fn digits(estimate: &Estimate) -> Markup {
    html! { (short(estimate.median)) }
}
