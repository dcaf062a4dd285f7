//! The report of a run: text for a terminal, `chaos.json`, `report.md` and `report.html`.

use std::fmt::Write;
use std::path::Path;

use anstyle::{AnsiColor, Style};
use anyhow::{Context, Result};
use load::machine;
use load::record::Machine;
use load::report::html::framed;
use load::run::now;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use testbed::number::{mebibytes, whole};
use testbed::table::{Cell, Column, Table, escape};

use crate::Options;
use crate::result::{Counts, FaultResult, Verdict};
use crate::timeline;

/// Version of the form of `chaos.json`.
const SCHEMA: u32 = 2;

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const FAINT: Style = Style::new().dimmed();

/// The method, as list items.
const METHOD: [&str; 8] = [
    "Open loop: requests are due at fixed times, a quarter of them for each of the four scenarios. Latencies count from the due time.",
    "Every request has its own user or movie, the product of the upstream changes three times a second, and ids must be fresh: a lost, repeated or mixed-up response is detected.",
    "An upstream is asked for its product, a quarter of the time with a wrong key; product and refusal are compared byte for byte.",
    "Contract errors are 502, 503 and 504 exactly as in the contract; other errors are all other 5xx.",
    "Broken: the connection ended without a response. Refused: no connection could be opened. A request on a kept connection that is closed before its response is sent once more on a new one.",
    "Silence is the longest time without any response.",
    "Recovery is the time from the end of the fault to the first request from which on all responses were correct and took at most 250 ms, or ten times the usual p99.",
    "A fault is passed if all responses were correct or errors that the contract allows for that fault, and the recovery was in time.",
];

/// The results of one contender.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Report {
    /// Name or URL.
    pub contender: String,
    /// Language and framework; empty if not known.
    pub made_of: String,
    /// Requests per second.
    pub rate: f64,
    /// Duration of each fault.
    pub duration_ms: f64,
    /// Longest allowed recovery.
    pub recovery_ms: f64,
    pub results: Vec<FaultResult>,
}

/// The content of `chaos.json`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ChaosFile {
    schema: u32,
    written_at: String,
    /// None outside a checkout.
    commit: Option<String>,
    machine: Machine,
    pub contenders: Vec<Report>,
}

impl Report {
    pub(crate) fn new(
        contender: String,
        made_of: String,
        options: &Options,
        results: Vec<FaultResult>,
    ) -> Self {
        Self {
            contender,
            made_of,
            rate: options.rate,
            duration_ms: options.duration.as_secs_f64() * 1e3,
            recovery_ms: options.recovery.as_secs_f64() * 1e3,
            results,
        }
    }

    /// Returns true if no fault failed.
    pub fn passed(&self) -> bool {
        self.count(Verdict::Failed) == 0
    }

    fn count(&self, verdict: Verdict) -> usize {
        let results = self.results.iter();
        results.filter(|result| result.verdict == verdict).count()
    }

    fn summary(&self) -> String {
        let (passed, failed) = (self.count(Verdict::Passed), self.count(Verdict::Failed));
        let not_applicable = match self.count(Verdict::NotApplicable) {
            0 => String::new(),
            count => format!("; {count} not applicable"),
        };
        format!(
            "{} passed {passed} of {} faults{not_applicable}",
            self.contender,
            passed + failed
        )
    }

    fn settings(&self) -> String {
        format!(
            "{} requests/s, each fault {}, recovery within {}",
            whole(self.rate),
            time(self.duration_ms),
            time(self.recovery_ms)
        )
    }

    /// Renders the report for a terminal, with styles.
    pub fn text(&self) -> String {
        let mut text = format!("{}: {}\n\n", self.contender, self.settings());
        text += &Table::new(columns()).terminal(self.results.iter());
        text.push('\n');
        for result in &self.results {
            let style = match result.verdict {
                Verdict::Passed => GOOD,
                Verdict::Failed => BAD,
                Verdict::NotApplicable => FAINT,
            };
            let mut remarks = result.reasons.iter().chain(&result.notes).peekable();
            if remarks.peek().is_some() {
                let verdict = result.verdict.name();
                let _ = writeln!(text, "{style}{verdict}{style:#} {}", result.fault);
            }
            for remark in remarks {
                let _ = writeln!(text, "  {remark}");
            }
        }
        let style = if self.passed() { GOOD } else { BAD };
        let _ = writeln!(text, "{style}{}{style:#}", self.summary());
        text
    }

    fn markdown(&self) -> String {
        let remarks = Column::text("remarks", remarks);
        let table = Table::new(columns().into_iter().chain([remarks]));
        format!(
            "### {}\n\n{}. {}.\n\n{}\n",
            escape(&self.contender),
            escape(&self.summary()),
            self.settings(),
            table.markdown(self.results.iter())
        )
    }

    fn html(&self) -> Markup {
        let caption = format!("Faults of {}", self.contender);
        html! {
            section {
                h2 { (self.contender) " " span.soft { (self.made_of) } }
                p.soft { (self.settings()) "." }
                (Table::new(columns()).html(&caption, self.results.iter()))
                ul {
                    @for result in self.results.iter().filter(|result| !remarks(result).is_empty()) {
                        li { code { (result.fault) } " " (result.verdict.name()) ": " (remarks(result)) }
                    }
                }
                (timeline::legend())
                div.cards.small {
                    @for result in &self.results {
                        @if result.verdict != Verdict::NotApplicable { (timeline::card(result)) }
                    }
                }
            }
        }
    }
}

impl ChaosFile {
    /// Creates the file for these contenders on this machine.
    pub fn new(contenders: Vec<Report>) -> Self {
        Self {
            schema: SCHEMA,
            written_at: now(),
            commit: machine::commit(),
            machine: machine::machine(),
            contenders,
        }
    }

    /// Writes `chaos.json`, `report.md` and `report.html` into an existing folder.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let json = serde_json::to_string_pretty(self)? + "\n";
        let files = [
            ("chaos.json", json),
            ("report.md", self.markdown()),
            ("report.html", self.html()),
        ];
        for (name, text) in files {
            let path = folder.join(name);
            std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(())
    }

    fn markdown(&self) -> String {
        let contenders = self.contenders.iter().map(Report::markdown);
        let method = METHOD.map(|line| format!("- {line}\n")).concat();
        format!(
            "## Chaos on {}\n\n{}<details><summary>Method</summary>\n\n{method}\n</details>\n",
            escape(&self.machine.cpu),
            contenders.collect::<String>()
        )
    }

    fn html(&self) -> String {
        let title = format!("Chaos on {}", self.machine.cpu);
        let content = html! {
            main {
                header {
                    p.over { "API framework benchmark · " (self.machine.host) " · " (self.written_at) }
                    h1 { (title) }
                    @for report in &self.contenders { p.lead { (report.summary()) } }
                }
                @for report in &self.contenders { (report.html()) }
                section {
                    h2 { "Method" }
                    ol { @for line in METHOD { li { (line) } } }
                }
            }
        };
        framed(&title, timeline::STYLE, &content)
    }
}

/// Returns the columns of the results; those of a fault that is not applicable are empty.
fn columns() -> Vec<Column<'static, FaultResult>> {
    let verdict = |result: &FaultResult| {
        let name = Cell::from(result.verdict.name());
        match result.verdict {
            Verdict::Failed => name.strong(),
            _ => name,
        }
    };
    vec![
        Column::text("fault", |result: &FaultResult| result.fault.clone()),
        Column::text("verdict", verdict),
        count("sent", |counts| counts.sent),
        count("correct", |counts| counts.correct),
        count("contract errors", |counts| counts.contract_errors),
        count("other errors", |counts| counts.other_errors),
        count("wrong", |counts| counts.wrong),
        count("broken", |counts| counts.broken),
        count("refused", |counts| counts.refused),
        count("timed out", |counts| counts.timed_out),
        metric("silence", time, |result| Some(result.silence_ms)),
        metric("recovery", time, |result| result.recovery_ms),
        metric("p99", time, |result| Some(result.p99_ms)),
        metric("peak RSS", mebibytes, |result| {
            result.peak_usage.map(|usage| usage.rss_bytes as f64)
        }),
        metric("descriptors", whole, |result| {
            result.peak_usage.map(|usage| usage.descriptors as f64)
        }),
    ]
}

fn count(title: &str, value: fn(&Counts) -> u64) -> Column<'static, FaultResult> {
    metric(title, whole, move |result| {
        Some(value(&result.counts) as f64)
    })
}

fn metric(
    title: &str,
    format: fn(f64) -> String,
    value: impl Fn(&FaultResult) -> Option<f64> + 'static,
) -> Column<'static, FaultResult> {
    Column::number(title, "", move |result: &FaultResult| {
        let applies = result.verdict != Verdict::NotApplicable;
        let value = value(result).filter(|_| applies);
        value.map(|value| Cell::number(value, format))
    })
}

fn remarks(result: &FaultResult) -> String {
    let all = result.reasons.iter().chain(&result.notes);
    all.map(String::as_str).collect::<Vec<_>>().join("; ")
}

/// Formats a time as `820 ms` or `1.4 s`.
fn time(ms: f64) -> String {
    match ms {
        _ if ms < 1000.0 => format!("{ms:.0} ms"),
        _ => format!("{:.1} s", ms / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::named;
    use crate::monitor::Usage;

    fn result(slug: &str, verdict: Verdict, reason: &str) -> FaultResult {
        FaultResult {
            description: "A <fault>.".to_owned(),
            verdict,
            counts: Counts {
                sent: 1234,
                correct: 1200,
                contract_errors: 34,
                ..Counts::default()
            },
            recovery_ms: Some(1500.0),
            peak_usage: Some(Usage {
                rss_bytes: 14 << 20,
                descriptors: 90,
                threads: 3,
            }),
            ..FaultResult::not_applicable(&named(slug).unwrap(), reason)
        }
    }

    fn file() -> ChaosFile {
        ChaosFile::new(vec![Report {
            contender: "a|b".to_owned(),
            made_of: "Rust".to_owned(),
            rate: 500.0,
            duration_ms: 1000.0,
            recovery_ms: 1000.0,
            results: vec![
                result("none", Verdict::Passed, "a note"),
                result(
                    "postgres/stopped",
                    Verdict::Failed,
                    "3 × info: no response in time",
                ),
                result("process/killed", Verdict::NotApplicable, "no process"),
            ],
        }])
    }

    #[test]
    fn written_file_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        file().write(folder.path()).unwrap();
        let text = std::fs::read_to_string(folder.path().join("chaos.json")).unwrap();
        let read: ChaosFile = serde_json::from_str(&text).unwrap();
        assert_eq!(read.contenders, file().contenders);
        assert!(!read.contenders[0].passed());
    }

    #[test]
    fn every_form_shows_metrics_reasons_and_summary() {
        let file = file();
        for text in [file.contenders[0].text(), file.markdown(), file.html()] {
            for part in [
                "postgres/stopped",
                "FAILED",
                "1,234",
                "1.5 s",
                "info: no response in time",
                "passed 1 of 2 faults; 1 not applicable",
            ] {
                assert!(text.contains(part), "{part} in {text}");
            }
        }
    }

    #[test]
    fn tables_of_the_page_sort() {
        let page = file().html();
        assert!(page.contains("<table class=\"sortable\">") && page.contains("table.sortable\")"));
    }

    #[test]
    fn names_are_escaped() {
        let file = file();
        assert!(file.html().contains("A &lt;fault&gt;."));
        assert!(file.markdown().contains(r"a\|b"));
    }
}
