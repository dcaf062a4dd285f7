//! The report to paste into a README or an issue.

use std::fmt::Write;

use super::table::cells;
use super::{Book, METHOD, Report, remarks, time};
use load::report::figure::whole;
use load::report::markdown::inline;

/// The whole of it.
pub(super) fn report(book: &Book) -> String {
    let mut text = format!("## Chaos on {}\n\n", inline(&book.machine.cpu));
    for contender in &book.contenders {
        text += &of_contender(contender);
    }
    text += "<details><summary>Method</summary>\n\n";
    for line in METHOD {
        let _ = writeln!(text, "- {line}");
    }
    text + "\n</details>\n"
}

fn of_contender(report: &Report) -> String {
    let mut text = format!(
        "### {}\n\n{}. {} requests/s, each fault {}, well again within {}.\n\n",
        inline(&report.contender),
        inline(&report.verdict()),
        whole(report.rate),
        time(report.duration_ms),
        time(report.recovery_ms)
    );
    text += "| fault | verdict | sent | right | contract errors | other errors | wrong | broken | refused | silent | silence | recovery | p99 | peak RSS | descriptors | remarks |\n\
             |---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|\n";
    for row in &report.rows {
        let cells = cells(row).map(|cell| inline(&cell));
        let remarks = inline(&remarks(row));
        let _ = writeln!(text, "| {} | {remarks} |", cells.join(" | "));
    }
    text + "\n"
}
