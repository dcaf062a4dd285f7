//! The report as one page, in the form of a run's; nothing is loaded from elsewhere.

use maud::{Markup, html};

use super::super::super::scenario::Scenario;
use super::super::facts;
use super::super::html::{framed, setting};
use super::chart::{Figure, charts};
use super::table::{COLUMNS, cells};
use super::{METHOD, Scale};

impl Scale {
    /// The page.
    pub(super) fn page(&self) -> String {
        let run = &self.runs[0].run;
        let title = format!("{} on {}", self.title(), run.machine.cpu);
        let content = html! {
            main {
                header {
                    p.over { "API framework benchmark · " (run.machine.host) " · " (run.started_at.get(..10).unwrap_or(&run.started_at)) }
                    h1 { (title) }
                    p.soft { (facts::plans(&self.plans())) }
                }
                @for scenario in &self.plan().scenarios { (self.section(*scenario)) }
                (setting(run, &METHOD))
            }
        };
        framed(&title, "", &content)
    }

    fn section(&self, scenario: Scenario) -> Markup {
        html! {
            section {
                h2 id=(scenario) { (scenario) " " span.soft { (scenario.method()) " " (scenario.path()) } }
                @for figure in [Figure::Cost, Figure::Memory] {
                    h3.apart { (figure.title()) }
                    (charts(self, scenario, figure))
                }
                div.scroll tabindex="0" role="region" aria-label={ "Figures of " (scenario) } {
                    table {
                        caption { "Figures of " (scenario) }
                        thead {
                            tr {
                                @for (index, name) in COLUMNS.iter().enumerate() {
                                    th.text[is_text(index)] scope="col" { (name) }
                                }
                            }
                        }
                        tbody {
                            @for row in self.rows_of(scenario) {
                                @let [contender, figures @ ..] = cells(&row);
                                tr {
                                    th.text scope="row" { (contender) }
                                    @for (index, figure) in figures.iter().enumerate() {
                                        td.text[is_text(index + 1)] { (figure) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The first column and the last are words.
fn is_text(index: usize) -> bool {
    index == 0 || index == COLUMNS.len() - 1
}
