//! The report to paste into a README or an issue.

use std::fmt::Write;

use super::super::cell::Cell;
use super::super::record::Run;
use super::super::results::Results;
use super::super::standings::{Standing, Standings};
use super::super::statistics::Estimate;
use super::facts::{self, with_interval};
use super::figure::{self, or_none, percent, short, whole};
use super::{latency, rates};

/// Lines of remarks: more are no longer read where this is pasted.
const MOST_REMARKS: usize = 24;

/// The whole of it.
pub(super) fn report(results: &Results, standings: &Standings<'_>) -> String {
    let run = &results.run;
    let mut text = format!(
        "## {} on {}\n\n",
        inline(&facts::title(results)),
        inline(&run.machine.cpu)
    );
    text += &format!("{}\n\n", inline(&facts::headline(results, standings)));
    for warning in facts::warnings(results, standings) {
        let _ = writeln!(text, "> **Note** {}\n", inline(&warning));
    }
    let _ = writeln!(text, "{}\n", inline(&facts::plans(&[&run.plan])));
    for standing in &standings.scenarios {
        text += &scenario(results, standing, standings);
    }
    text += &out(results);
    text + &setting(run, facts::method(run))
}

/// Where and how it was measured, folded away.
pub(super) fn setting(run: &Run, method: &[&str]) -> String {
    let mut text =
        "<details><summary>Machine, versions, command</summary>\n\n| | |\n|---|---|\n".to_owned();
    for (name, value) in facts::machine(run) {
        let _ = writeln!(text, "| {name} | {} |", inline(&value));
    }
    let _ = writeln!(
        text,
        "\n```sh\n{}\n```\n\n</details>\n",
        facts::command(run)
    );
    text += "<details><summary>Method</summary>\n\n";
    for line in method {
        let _ = writeln!(text, "- {line}");
    }
    text + "\n</details>\n"
}

fn scenario(results: &Results, standing: &Standing<'_>, standings: &Standings<'_>) -> String {
    let scenario = standing.scenario;
    let mut text = format!(
        "### {scenario}\n\n`{} {}`",
        scenario.method(),
        scenario.path()
    );
    if let Some(ceiling) = standing.ceiling {
        let _ = write!(
            text,
            "; the engine's own ceiling: {} requests/s",
            whole(ceiling)
        );
    }
    text += "\n\n";
    let open = rates::markdown(&latency::curves(results, scenario));
    if standing.was_measured() || open.is_empty() {
        text += &closed_loop(standing, standings);
    }
    text + &open
}

fn closed_loop(standing: &Standing<'_>, standings: &Standings<'_>) -> String {
    let baseline = standings
        .baseline
        .map_or(figure::NONE, |baseline| baseline.name.as_str());
    let mut text = format!(
        "| # | contender | CPU µs/request | of limit | requests/s | # | mean ms | p99 ms | vs all ({} = 1) | peak RSS | spread | verdict |\n\
         |--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|\n",
        inline(baseline)
    );
    for cell in &standing.cells {
        text += &row(cell);
    }
    text + "\n"
}

fn row(cell: &Cell<'_>) -> String {
    let rank = |rank: Option<usize>| or_none(rank, |rank| rank.to_string());
    let median = |estimate: Option<Estimate>| or_none(estimate, |estimate| short(estimate.median));
    let spread = or_none(cell.spread(), percent);
    let columns = [
        rank(cell.cpu_rank),
        inline(&cell.contender.name),
        with_interval(cell.cpu_us_per_request.as_ref(), short),
        or_none(cell.of_limit, percent),
        with_interval(cell.requests_per_sec.as_ref(), whole),
        rank(cell.rate_rank),
        median(cell.mean_ms),
        median(cell.p99_ms),
        or_none(cell.vs_all, |score| format!("{score:.2}")),
        or_none(cell.rss_peak_bytes, figure::mebibytes),
        if cell.is_wide() {
            format!("**{spread}**")
        } else {
            spread
        },
        cell.unranked_because()
            .unwrap_or_else(|| "server-bound".to_owned()),
    ];
    format!("| {} |\n", columns.join(" | "))
}

/// Failed checks, declared deviations, failures, warnings: what there is of them.
fn out(results: &Results) -> String {
    let mut text = String::new();
    for contender in &results.run.plan.contenders {
        for check in results.failed_checks(&contender.name) {
            let _ = writeln!(
                text,
                "- {} fails `{}`: expected {}; came {}",
                inline(&contender.name),
                check.slug,
                inline(&check.expected),
                inline(&check.actual)
            );
        }
        for (slug, why) in &contender.deviations {
            let _ = writeln!(
                text,
                "- {} declares `{slug}`: {}",
                inline(&contender.name),
                inline(why)
            );
        }
    }
    for failure in &results.failures {
        let _ = writeln!(
            text,
            "- {}, round {}: {}",
            inline(&failure.contender),
            failure.round,
            inline(&failure.error)
        );
    }
    for (place, kinds) in facts::wrong_answers(results) {
        let _ = writeln!(text, "- {}: {}", inline(&place), inline(&kinds));
    }
    for (place, warning) in facts::attempt_warnings(results) {
        let _ = writeln!(text, "- {}: {}", inline(&place), inline(warning));
    }
    let lines = text.lines().count();
    if lines == 0 {
        return text;
    }
    if lines > MOST_REMARKS {
        let first: Vec<_> = text.lines().take(MOST_REMARKS).collect();
        text = format!(
            "{}\n- and {} more in `report.html`\n",
            first.join("\n"),
            lines - MOST_REMARKS
        );
    }
    format!("### Checks, deviations, warnings\n\n{text}\n")
}

/// A text as part of a line: it ends no cell, opens no tag, marks nothing.
pub fn inline(text: &str) -> String {
    let mut inline = String::new();
    for character in text.chars() {
        match character {
            '\n' | '\r' => inline.push(' '),
            '<' => inline += "&lt;",
            '&' => inline += "&amp;",
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' => inline.extend(['\\', character]),
            _ => inline.push(character),
        }
    }
    inline
}
