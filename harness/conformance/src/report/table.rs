//! A report for people. Colours are written always; who prints it takes them away where there is
//! no terminal.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};

use super::super::Level;
use super::super::verdict::Outcome;
use super::{BY_DESIGN, Report, Row};
use testbed::columns::columns;

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const ODD: Style = AnsiColor::Yellow.on_default();
const FAINT: Style = Style::new().dimmed();

/// The report as text.
pub(super) fn text(report: &Report, verbose: bool) -> String {
    let mut text = heading(report);
    text += &levels(report);
    text += "\n";
    for row in &report.checks {
        if verbose || row.outcome != Outcome::Passed {
            text += &in_full(row);
        }
    }
    let (style, word) = match (report.is_whole(), report.passed()) {
        (false, _) => (
            BAD,
            "could not be checked: the harness's own side broke".to_owned(),
        ),
        (true, true) => (GOOD, format!("passes level {}", report.required)),
        (true, false) => (BAD, format!("does not pass level {}", report.required)),
    };
    let _ = writeln!(text, "{style}{} {word}{style:#}", report.contender);
    if report.is_limit {
        let _ = writeln!(text, "{ODD}{} {BY_DESIGN}{ODD:#}", report.contender);
    }
    text
}

fn heading(report: &Report) -> String {
    let made_of = match report.made_of.as_str() {
        "" => String::new(),
        made_of => format!(" ({made_of})"),
    };
    let checks = report.checks.len();
    let took = f64::from(u32::try_from(report.took_ms).unwrap_or(u32::MAX)) / 1000.0;
    format!(
        "{}{made_of}: {checks} checks in {took:.1} s\n\n",
        report.contender
    )
}

/// A line for each level.
fn levels(report: &Report) -> String {
    let header = [
        "LEVEL",
        "CHECKS",
        "PASSED",
        "FAILED",
        "DEVIATES",
        "DECLARED",
        "NOT CHECKED",
    ];
    let mut rows = Vec::new();
    for level in [Level::Core, Level::Work, Level::Strict] {
        let count = |fits: fn(&Outcome) -> bool| report.count(level, fits).to_string();
        if level > report.level || count(|_| true) == "0" {
            continue;
        }
        rows.push([
            level.to_string(),
            count(|_| true),
            count(|outcome| matches!(outcome, Outcome::Passed)),
            count(|outcome| {
                matches!(
                    outcome,
                    Outcome::Failed(_) | Outcome::Stale { .. } | Outcome::Broken { .. }
                )
            }),
            count(|outcome| matches!(outcome, Outcome::Deviates(_))),
            count(|outcome| matches!(outcome, Outcome::Declared { .. })),
            count(|outcome| matches!(outcome, Outcome::NotChecked { .. })),
        ]);
    }
    columns(header, rows, |place| place > 0) + "\n"
}

/// A row with all that is known of it.
fn in_full(row: &Row) -> String {
    let style = match row.outcome {
        Outcome::Passed => GOOD,
        Outcome::Failed(_) | Outcome::Stale { .. } | Outcome::Broken { .. } => BAD,
        Outcome::Deviates(_) | Outcome::Declared { .. } => ODD,
        Outcome::NotChecked { .. } => FAINT,
    };
    let mut text = format!(
        "{style}{}{style:#} {} ({})\n",
        row.word(),
        row.slug,
        row.level
    );
    if let Outcome::Passed = row.outcome {
        return text;
    }
    if let Some(why) = row.why() {
        let _ = writeln!(text, "  because   {why}");
    }
    if let Outcome::NotChecked { .. } = row.outcome {
        return text;
    }
    let _ = writeln!(
        text,
        "  asked     {} {FAINT}{}{FAINT:#}",
        row.what, row.source
    );
    if let Some(failure) = row.failure() {
        if let Some(sent) = &failure.sent {
            let _ = writeln!(text, "  sent      {sent}");
        }
        let _ = writeln!(text, "  expected  {}", failure.expected);
        let _ = writeln!(text, "  came      {}", failure.came);
        for line in &failure.difference {
            let _ = writeln!(text, "            {line}");
        }
    }
    text + "\n"
}
