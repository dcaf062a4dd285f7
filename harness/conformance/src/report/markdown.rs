//! Reports and the list of checks as Markdown.

use std::fmt::Write;

use testbed::table::{Cell, Column, Table};

use super::{Report, Row};
use crate::Check;
use crate::verdict::Outcome;

/// Renders the table of these checks for `docs/CONTRACT.md`. Descriptions are Markdown already.
#[must_use]
pub fn checks_table(checks: &[Check]) -> String {
    let mut table = "| check | level | requirement | source |\n|---|---|---|---|\n".to_owned();
    for check in checks {
        let Check {
            slug,
            level,
            description,
            source,
            ..
        } = check;
        let sources = sources(source);
        let _ = writeln!(table, "| `{slug}` | {level} | {description} | {sources} |");
    }
    table
}

/// Links the sections of the contract as seen from `docs/`.
fn sources(source: &str) -> String {
    let parts = source.split("; ").map(|part| match part.split_once('#') {
        Some((_, section)) => format!("[{}](#{section})", section.replace('-', " ")),
        None => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// Renders a table of all checks, then the requests that did not pass.
pub(super) fn report(report: &Report) -> String {
    let mut text = format!("## {}\n\n", report.contender);
    if !report.made_of.is_empty() {
        let _ = writeln!(text, "{}\n", report.made_of);
    }
    if let Some(remark) = report.by_design() {
        let _ = writeln!(text, "{remark}.\n");
    }
    let table = Table::new([
        Column::text("check", |row: &Row| Cell::from(row.slug.clone()).code()),
        Column::text("level", |row: &Row| row.level.to_string()),
        Column::text("outcome", |row: &Row| row.label()),
        Column::text("reason", reason),
    ]);
    text += &table.markdown(report.checks.iter());
    let rows = report.checks.iter();
    for row in rows.filter(|row| row.outcome != Outcome::Passed) {
        if let Some(sent) = row.failure().and_then(|failure| failure.sent.as_ref()) {
            let _ = writeln!(text, "\n`{}`\n\n```sh\n{sent}\n```", row.slug);
        }
    }
    text
}

fn reason(row: &Row) -> String {
    let failure = row.failure().map(|failure| {
        let (expected, actual) = (&failure.expected, &failure.actual);
        format!("expected {expected}; actual {actual}")
    });
    match (row.why(), failure) {
        (Some(why), Some(failure)) => format!("{why} ({failure})"),
        (Some(why), None) => why.to_owned(),
        (None, failure) => failure.unwrap_or_default(),
    }
}
