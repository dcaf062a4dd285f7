//! Reports and the list of checks as Markdown.

use std::fmt::Write;

use super::super::Check;
use super::super::verdict::Outcome;
use super::{BY_DESIGN, Report};

/// The table of these checks: slug, level, what is asked, where that is written.
#[must_use]
pub fn checks_table(checks: &[Check]) -> String {
    let mut table = "| check | level | asks that | source |\n|---|---|---|---|\n".to_owned();
    for check in checks {
        let (what, source) = (cell(&check.what), check.source);
        let _ = writeln!(
            table,
            "| `{}` | {} | {what} | {} |",
            check.slug,
            check.level,
            sources(source)
        );
    }
    table
}

/// Sections of the contract as they are called from `docs/`, RFCs as they are.
fn sources(source: &str) -> String {
    let parts = source.split("; ").map(|part| match part.split_once('#') {
        Some((_, section)) => format!("[{}](#{section})", section.replace('-', " ")),
        None => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// A report: a table of all checks, then what did not pass.
pub(super) fn report(report: &Report) -> String {
    let mut text = format!("## {}\n\n", report.contender);
    if !report.made_of.is_empty() {
        let _ = writeln!(text, "{}\n", report.made_of);
    }
    if report.is_limit {
        let _ = writeln!(text, "{} {BY_DESIGN}.\n", report.contender);
    }
    text += "| check | level | outcome | |\n|---|---|---|---|\n";
    for row in &report.checks {
        let why = match row.failure() {
            Some(failure) => format!("expected {}; came {}", failure.expected, failure.came),
            None => String::new(),
        };
        let why = match row.why() {
            Some(reason) if why.is_empty() => reason.to_owned(),
            Some(reason) => format!("{reason} ({why})"),
            None => why,
        };
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} |",
            row.slug,
            row.level,
            row.word(),
            cell(&why)
        );
    }
    let failed = report
        .checks
        .iter()
        .filter(|row| row.outcome != Outcome::Passed);
    for row in failed {
        let Some(sent) = row.failure().and_then(|failure| failure.sent.as_ref()) else {
            continue;
        };
        let _ = writeln!(text, "\n`{}`\n\n```sh\n{sent}\n```", row.slug);
    }
    text
}

/// A text as the content of one cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
