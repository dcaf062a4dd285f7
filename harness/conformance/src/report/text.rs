//! A report for people. It has colours always; the output removes them where there is no terminal.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use testbed::table::{Column, Table};

use super::{Report, Row};
use crate::Level;
use crate::verdict::Outcome;

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const ODD: Style = AnsiColor::Yellow.on_default();
const FAINT: Style = Style::new().dimmed();

/// Renders the report as text.
pub(super) fn report(report: &Report, verbose: bool) -> String {
    let mut text = heading(report) + &levels(report) + "\n";
    for row in &report.checks {
        if verbose || row.outcome != Outcome::Passed {
            text += &details(row);
        }
    }
    let (style, result) = match (report.is_whole(), report.passed()) {
        (false, _) => (
            BAD,
            "could not be checked: the harness itself failed".to_owned(),
        ),
        (true, true) => (GOOD, format!("passes level {}", report.required)),
        (true, false) => (BAD, format!("does not pass level {}", report.required)),
    };
    let contender = &report.contender;
    let _ = writeln!(text, "{style}{contender} {result}{style:#}");
    if let Some(remark) = report.by_design() {
        let _ = writeln!(text, "{ODD}{remark}{ODD:#}");
    }
    text
}

/// Renders the rows whose outcome is not that of the former report, then the number that fail.
pub(super) fn changes(report: &Report, former: &Report) -> String {
    let mut text = String::new();
    for row in &report.checks {
        let before = former.checks.iter().find(|before| before.slug == row.slug);
        match before.map(Row::label) {
            Some(before) if before == row.label() => {}
            Some(before) => text += &format!("{before} -> {}", details(row)),
            None => text += &details(row),
        }
    }
    let failed = report.failed().count();
    let style = if failed == 0 { GOOD } else { BAD };
    let all = report.checks.len();
    text + &format!("{style}{failed} of {all} checks fail{style:#}\n")
}

fn heading(report: &Report) -> String {
    let made_of = match report.made_of.as_str() {
        "" => String::new(),
        made_of => format!(" ({made_of})"),
    };
    let took = f64::from(u32::try_from(report.took_ms).unwrap_or(u32::MAX)) / 1000.0;
    let checks = report.checks.len();
    format!(
        "{}{made_of}: {checks} checks in {took:.1} s\n\n",
        report.contender
    )
}

/// Renders a line for each level.
fn levels(report: &Report) -> String {
    let count = |title: &'static str, fits: fn(&Outcome) -> bool| {
        Column::number(title, "", move |level: &Level| {
            let rows = report.checks.iter().filter(|row| row.level == *level);
            rows.filter(|row| fits(&row.outcome)).count().to_string()
        })
    };
    let table = Table::new([
        Column::text("level", Level::to_string),
        count("checks", |_| true),
        count("passed", |outcome| matches!(outcome, Outcome::Passed)),
        count("failed", |outcome| {
            matches!(
                outcome,
                Outcome::Failed(_) | Outcome::Stale { .. } | Outcome::Broken { .. }
            )
        }),
        count("deviates", |outcome| {
            matches!(outcome, Outcome::Deviates(_))
        }),
        count("declared", |outcome| {
            matches!(outcome, Outcome::Declared { .. })
        }),
        count("not checked", |outcome| {
            matches!(outcome, Outcome::NotChecked { .. })
        }),
    ]);
    let has_checks = |level: &&Level| report.checks.iter().any(|row| row.level == **level);
    let levels = [Level::Core, Level::Work, Level::Strict];
    table.terminal(levels.iter().filter(has_checks))
}

/// Renders a row with all its details.
fn details(row: &Row) -> String {
    let style = match row.outcome {
        Outcome::Passed => GOOD,
        Outcome::Failed(_) | Outcome::Stale { .. } | Outcome::Broken { .. } => BAD,
        Outcome::Deviates(_) | Outcome::Declared { .. } => ODD,
        Outcome::NotChecked { .. } => FAINT,
    };
    let Row { slug, level, .. } = row;
    let mut text = format!("{style}{}{style:#} {slug} ({level})\n", row.label());
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(text, "  {label:9} {value}");
    };
    if let Some(why) = row.why() {
        line("reason", why);
    }
    if matches!(row.outcome, Outcome::Passed | Outcome::NotChecked { .. }) {
        return text;
    }
    let source = format!("{FAINT}{}{FAINT:#}", row.source);
    line("requires", &format!("{} {source}", row.description));
    if let Some(failure) = row.failure() {
        if let Some(sent) = &failure.sent {
            line("sent", sent);
        }
        line("expected", &failure.expected);
        line("actual", &failure.actual);
        for difference in &failure.difference {
            line("", difference);
        }
    }
    text + "\n"
}
