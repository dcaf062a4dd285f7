//! The report as a page. It loads nothing from elsewhere, and only sorting needs its script.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::super::standings::{Standing, Standings};
use super::{METHOD, chart, columns, facts, open_loop};
use testbed::number::whole;
use testbed::table::{Column, Table};

const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/sort.js");

/// Renders the page.
pub(super) fn report(standings: &Standings<'_>) -> String {
    let run = &standings.runs[0].run;
    let title = facts::title(standings);
    let content = html! {
        main {
            p.over { "API framework benchmark · " (run.machine.host) " · " (run.started_at.get(..10).unwrap_or_default()) }
            h1 { (title) }
            p.lead { (facts::headline(standings)) }
            @for warning in facts::warnings(standings) { p.warning { (warning) } }
            p.soft { (facts::settings(standings)) " " (facts::baseline(standings)) " Every attempt is a row of results.csv." }
            (chart::picture(standings))
            @for standing in &standings.scenarios { (scenario(standings, standing)) }
            h2 { (facts::STARTS) }
            (columns::starts().html(facts::STARTS, facts::starts(standings).iter()))
            (remarks(standings))
            h2 { "Machine and command" }
            dl { @for (name, value) in facts::machine(standings) { dt { (name) } dd { (value) } } }
            pre { code { (facts::command(run)) } }
            h2 { "Method" }
            ol { @for line in METHOD { li { (line) } } }
        }
    };
    framed(&title, "", &content)
}

/// Renders a page of this title around its content, with additional styles. Its tables sort.
#[must_use]
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
            body {
                (content)
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

fn scenario(standings: &Standings<'_>, standing: &Standing<'_>) -> Markup {
    let scenario = standing.scenario;
    let open = open_loop::rows(standings, scenario);
    html! {
        h2 { (scenario) " " span.soft { (scenario.method()) " " (scenario.path()) } }
        @if let Some(rate) = standing.engine_ceiling {
            p.soft { "Ceiling of the engine: " (whole(rate)) " requests/s." }
        }
        @if standing.was_measured() {
            (columns::standings(standings).html(scenario.name(), standing.cells.iter()))
        }
        @if !open.is_empty() {
            p.soft { (facts::OPEN_LOOP) ":" }
            (open_loop::table(&open).html(facts::OPEN_LOOP, open.iter()))
        }
    }
}

fn remarks(standings: &Standings<'_>) -> Markup {
    let remarks = facts::remarks(standings);
    let columns = [
        Column::text("subject", |(subject, _): &(String, String)| subject.clone()),
        Column::text("remark", |(_, remark): &(String, String)| remark.clone()),
    ];
    html! {
        @if !remarks.is_empty() {
            h2 { "Checks, deviations, warnings" }
            (Table::new(columns).html("Remarks", remarks.iter()))
        }
    }
}
