//! The report as Markdown, for a README or an issue.

use std::fmt::Write;

use super::super::standings::{Standing, Standings};
use super::{METHOD, columns, facts, open_loop};
use testbed::number::whole;
use testbed::table::{Column, Table, escape};

/// A pasted report with more remarks is not readable.
const REMARKS_MAX: usize = 24;

/// Renders the report.
pub(super) fn report(standings: &Standings<'_>) -> String {
    let mut text = format!("## {}\n\n", escape(&facts::title(standings)));
    let _ = writeln!(text, "{}\n", escape(&facts::headline(standings)));
    for warning in facts::warnings(standings) {
        let _ = writeln!(text, "> **Note** {}\n", escape(&warning));
    }
    for line in [facts::settings(standings), facts::baseline(standings)] {
        let _ = writeln!(text, "{}\n", escape(&line));
    }
    for standing in &standings.scenarios {
        text += &scenario(standings, standing);
    }
    let starts = columns::starts().markdown(facts::starts(standings).iter());
    let _ = writeln!(text, "### {}\n\n{starts}", facts::STARTS);
    text += &remarks(standings);
    text + &setting(standings)
}

fn scenario(standings: &Standings<'_>, standing: &Standing<'_>) -> String {
    let scenario = standing.scenario;
    let (method, path) = (scenario.method(), scenario.path());
    let mut text = format!("### {scenario}\n\n`{method} {path}`");
    if let Some(rate) = standing.engine_ceiling {
        let rate = whole(rate);
        let _ = write!(text, "; ceiling of the engine: {rate} requests/s");
    }
    text += "\n\n";
    if standing.was_measured() {
        text += &columns::standings(standings).markdown(standing.cells.iter());
        text += "\n";
    }
    let open = open_loop::rows(standings, scenario);
    if !open.is_empty() {
        let table = open_loop::table(&open).markdown(open.iter());
        let _ = writeln!(text, "{}:\n\n{table}", facts::OPEN_LOOP);
    }
    text
}

fn remarks(standings: &Standings<'_>) -> String {
    let remarks = facts::remarks(standings);
    if remarks.is_empty() {
        return String::new();
    }
    let mut text = "### Checks, deviations, warnings\n\n".to_owned();
    for (subject, remark) in remarks.iter().take(REMARKS_MAX) {
        let _ = writeln!(text, "- {}: {}", escape(subject), escape(remark));
    }
    if let Some(more @ 1..) = remarks.len().checked_sub(REMARKS_MAX) {
        let _ = writeln!(text, "- and {more} more in `report.html`");
    }
    text + "\n"
}

/// Renders the machine, the command and the method as folded sections.
fn setting(standings: &Standings<'_>) -> String {
    let machine = [
        Column::text("", |(name, _): &(&'static str, String)| *name),
        Column::text("", |(_, value): &(&'static str, String)| value.clone()),
    ];
    let machine = Table::new(machine).markdown(facts::machine(standings).iter());
    let method = METHOD.map(|line| format!("- {line}\n")).concat();
    format!(
        "<details><summary>Machine, versions, command</summary>\n\n{machine}\n\
         ```sh\n{}\n```\n\n</details>\n\n\
         <details><summary>Method</summary>\n\n{method}\n</details>\n",
        facts::command(&standings.runs[0].run)
    )
}
