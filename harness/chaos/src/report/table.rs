//! The report for a terminal.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};

use super::super::row::{Row, Verdict};
use super::{Report, time};
use load::report::figure::{NONE, mebibytes, or_none, whole};
use testbed::columns::columns;

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const FAINT: Style = Style::new().dimmed();

/// The report as text with colours, which who prints it takes away where there is no terminal.
pub fn text(report: &Report) -> String {
    let mut text = format!(
        "{}: {} requests/s, each fault {}\n\n",
        report.contender,
        whole(report.rate),
        time(report.duration_ms)
    );
    text += &figures(report);
    text += "\n\n";
    for row in &report.rows {
        text += &in_full(row);
    }
    let style = if report.holds() { GOOD } else { BAD };
    let _ = writeln!(text, "{style}{}{style:#}", report.verdict());
    text
}

fn figures(report: &Report) -> String {
    let header = [
        "FAULT", "VERDICT", "SENT", "RIGHT", "CONTRACT", "OTHER", "WRONG", "BROKEN", "REFUSED",
        "SILENT", "SILENCE", "RECOVERY", "P99", "MEMORY", "FDS",
    ];
    columns(header, report.rows.iter().map(cells), |place| place > 1)
}

/// The figures of a row, as every form of the report shows them.
pub(super) fn cells(row: &Row) -> [String; 15] {
    let applies = row.verdict != Verdict::NotApplicable;
    let count = |count: u64| match applies {
        true => whole(count as f64),
        false => NONE.to_owned(),
    };
    let counts = &row.counts;
    [
        row.fault.clone(),
        row.verdict.name().to_owned(),
        count(counts.sent),
        count(counts.right),
        count(counts.contract_errors),
        count(counts.other_errors),
        count(counts.wrong),
        count(counts.broken),
        count(counts.refused),
        count(counts.silent),
        or_none(applies.then_some(row.silence_ms), time),
        or_none(row.recovery_ms, time),
        or_none(applies.then_some(row.p99_ms), time),
        or_none(row.held, |held| mebibytes(held.rss_bytes)),
        or_none(row.held, |held| whole(held.descriptors as f64)),
    ]
}

/// What the figures do not say.
fn in_full(row: &Row) -> String {
    if row.reasons.is_empty() && row.notes.is_empty() {
        return String::new();
    }
    let style = match row.verdict {
        Verdict::Holds => GOOD,
        Verdict::Breaks => BAD,
        Verdict::NotApplicable => FAINT,
    };
    let mut text = format!("{style}{}{style:#} {}\n", row.verdict.name(), row.fault);
    for remark in row.reasons.iter().chain(&row.notes) {
        let _ = writeln!(text, "  {remark}");
    }
    text
}
