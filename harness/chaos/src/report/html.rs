//! The report as one page, in the form of a measurement's; nothing is loaded from elsewhere.

use maud::{Markup, html};

use super::super::row::{Row, Verdict};
use super::table::cells;
use super::{Book, METHOD, Report, chart, remarks, time};
use load::report::figure::whole;
use load::report::html::framed;

/// Names of the columns after the fault's and the verdict's.
const COLUMNS: [&str; 13] = [
    "sent",
    "right",
    "contract errors",
    "other errors",
    "wrong",
    "broken",
    "refused",
    "silent",
    "silence",
    "recovery",
    "p99",
    "peak RSS",
    "descriptors",
];

/// The page.
pub(super) fn page(book: &Book) -> String {
    let title = format!("Chaos on {}", book.machine.cpu);
    let content = html! {
        main {
            header {
                p.over { "API framework benchmark · " (book.machine.host) " · " (book.written_at) }
                h1 { (title) }
                @for report in &book.contenders { p.lead { (report.verdict()) } }
            }
            @for report in &book.contenders { (of_contender(report)) }
            section {
                h2 { "Method" }
                ol { @for line in METHOD { li { (line.replace('*', "")) } } }
            }
        }
    };
    framed(&title, chart::STYLE, &content)
}

fn of_contender(report: &Report) -> Markup {
    html! {
        section {
            h2 { (report.contender) " " span.soft { (report.made_of) } }
            p.soft {
                (whole(report.rate)) " requests/s, each fault " (time(report.duration_ms))
                ", well again within " (time(report.recovery_ms)) "."
            }
            (figures(report))
            p.soft {
                span.legend {
                    span { i.swatch.right {} "right" }
                    span { i.swatch.contract {} "error of the contract" }
                    span { i.swatch.failed {} "failed" }
                    span { i.swatch.lasted {} "the fault" }
                }
            }
            div.cards.small {
                @for row in &report.rows {
                    @if row.verdict != Verdict::NotApplicable {
                        div.card {
                            h3 { (row.fault) span.soft { (row.verdict.name()) } }
                            (chart::timeline(row))
                            p.soft { (row.what) }
                        }
                    }
                }
            }
        }
    }
}

fn figures(report: &Report) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Faults" {
            table {
                caption { "Faults of " (report.contender) }
                thead {
                    tr {
                        th.text scope="col" { "fault" }
                        th.text scope="col" { "verdict" }
                        @for name in COLUMNS { th scope="col" { (name) } }
                    }
                }
                tbody { @for row in &report.rows { (figures_of(row)) } }
            }
        }
    }
}

fn figures_of(row: &Row) -> Markup {
    let [fault, verdict, figures @ ..] = cells(row);
    let class = (row.verdict == Verdict::NotApplicable).then_some("unbound");
    html! {
        tr class=[class] {
            th.text scope="row" { (fault) small { (remarks(row)) } }
            td.text { @if row.verdict == Verdict::Breaks { span.wide { (verdict) } } @else { (verdict) } }
            @for figure in figures { td { (figure) } }
        }
    }
}
