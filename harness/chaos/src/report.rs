//! What a run has shown: a table for people, `chaos.json`, Markdown, and a page with charts.

mod chart;
mod html;
mod markdown;
mod table;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::Options;
use super::row::{Row, Verdict};
use load::platform;
use load::record::Machine;
use load::run::now;

pub use table::text;

/// Version of the form of `chaos.json`.
const SCHEMA: u32 = 1;

/// The file that all others are made of.
pub const JSON: &str = "chaos.json";

/// What the figures are, for who reads them elsewhere.
const METHOD: [&str; 8] = [
    "Requests are due at fixed times, a quarter of them to each of the four scenarios, whatever becomes of those before; latencies count from then.",
    "Every request has a user or a movie of its own, the product of the upstream changes three times a second, and fresh ids must be fresh: an answer that is lost, comes twice or belongs to somebody else is seen.",
    "An upstream that is no contender is asked for its product, and with another key by a quarter of the requests: the product and the refusal must be the contract's, byte for byte.",
    "A *contract error* is a 502, 503 or 504 whole as the contract has it; *other errors* are all other 5xx.",
    "*Broken* is a connection that ended without its answer, *refused* one that was not made. What a server closes before a byte of the answer is asked again on a new connection, once, as clients of kept connections do.",
    "*Silence* is the longest time in which nothing at all was answered.",
    "*Recovery* is from the end of the fault's cause to the first request from which on all were answered rightly and within 250 ms, or ten times the usual p99.",
    "A fault *holds* if nothing came but right answers and what the contract allows for what depends on the fault's cause, and all was well again in time.",
];

/// What came of all faults of one contender.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Report {
    /// Its name, or its URL.
    pub contender: String,
    /// Language and framework; empty if they are not known.
    pub made_of: String,
    /// Requests in a second.
    pub rate: f64,
    /// Time that each fault lasted.
    pub duration_ms: f64,
    /// Time until all had to be well again.
    pub recovery_ms: f64,
    pub rows: Vec<Row>,
}

/// The whole of `chaos.json`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Book {
    schema: u32,
    written_at: String,
    /// None outside a checkout.
    commit: Option<String>,
    machine: Machine,
    pub contenders: Vec<Report>,
}

impl Report {
    pub(super) fn new(contender: &str, made_of: &str, options: &Options, rows: Vec<Row>) -> Self {
        Self {
            contender: contender.to_owned(),
            made_of: made_of.to_owned(),
            rate: options.rate,
            duration_ms: options.duration.as_secs_f64() * 1e3,
            recovery_ms: options.recovery.as_secs_f64() * 1e3,
            rows,
        }
    }

    /// Whether no fault broke it.
    pub fn holds(&self) -> bool {
        self.count(Verdict::Breaks) == 0
    }

    fn count(&self, verdict: Verdict) -> usize {
        let rows = self.rows.iter();
        rows.filter(|row| row.verdict == verdict).count()
    }

    /// What came of it, in a sentence.
    fn verdict(&self) -> String {
        let (holds, breaks) = (self.count(Verdict::Holds), self.count(Verdict::Breaks));
        let rest = match self.count(Verdict::NotApplicable) {
            0 => String::new(),
            some => format!("; {some} not applicable"),
        };
        let of = holds + breaks;
        match breaks {
            0 => format!("{} holds under {of} of {of} faults{rest}", self.contender),
            _ => format!(
                "{} breaks under {breaks} of {of} faults{rest}",
                self.contender
            ),
        }
    }
}

impl Book {
    /// Of these contenders, on this machine.
    pub fn of(contenders: Vec<Report>) -> Self {
        Self {
            schema: SCHEMA,
            written_at: now(),
            commit: platform::commit(),
            machine: platform::machine(),
            contenders,
        }
    }

    /// Writes the book and what is made of it into a folder, which is made if it is not there.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let json = serde_json::to_string_pretty(self)? + "\n";
        let files = [
            (JSON, json),
            ("chaos.md", markdown::report(self)),
            ("chaos.html", html::page(self)),
        ];
        for (name, text) in files {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(())
    }
}

/// A time as it is read, as `820 ms` or `1.4 s`.
fn time(ms: f64) -> String {
    match ms {
        _ if ms < 1000.0 => format!("{ms:.0} ms"),
        _ => format!("{:.1} s", ms / 1e3),
    }
}

/// Why a row breaks or is not applicable, and what else is to be said.
fn remarks(row: &Row) -> String {
    let all = row.reasons.iter().chain(&row.notes);
    all.map(String::as_str).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::census::Held;
    use super::super::row::Counts;
    use super::super::window::Timeline;
    use super::*;

    fn row(fault: &str, verdict: Verdict, reasons: &[&str]) -> Row {
        Row {
            fault: fault.to_owned(),
            what: "A <fault>.".to_owned(),
            verdict,
            reasons: reasons.iter().map(|reason| (*reason).to_owned()).collect(),
            notes: vec!["a note".to_owned()],
            counts: Counts {
                sent: 1234,
                right: 1200,
                contract_errors: 34,
                ..Counts::default()
            },
            kinds: BTreeMap::from([("users-me: 503 database unavailable".to_owned(), 34)]),
            lasted_ms: 1000.0,
            silence_ms: 120.0,
            recovery_ms: Some(1500.0),
            p50_ms: 1.0,
            p99_ms: 12.0,
            held: Some(Held {
                rss_bytes: 14 << 20,
                descriptors: 90,
                threads: 3,
            }),
            timeline: Timeline {
                slice_ms: 100,
                end: 1,
                right: vec![5, 4, 5],
                contract_errors: vec![0, 1, 0],
                failed: vec![0, 0, 0],
            },
        }
    }

    pub(super) fn book() -> Book {
        let rows = vec![
            row("none", Verdict::Holds, &[]),
            row(
                "postgres/stopped",
                Verdict::Breaks,
                &["3 × info: no answer"],
            ),
            Row {
                held: None,
                ..row("process/killed", Verdict::NotApplicable, &["no process"])
            },
        ];
        Book::of(vec![Report {
            contender: "a|b".to_owned(),
            made_of: "Rust".to_owned(),
            rate: 500.0,
            duration_ms: 1000.0,
            recovery_ms: 1000.0,
            rows,
        }])
    }

    #[test]
    fn a_book_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new");
        book().write(&path).unwrap();
        let text = fs::read_to_string(path.join(JSON)).unwrap();
        let read: Book = serde_json::from_str(&text).unwrap();
        assert_eq!(read.contenders, book().contenders);
        assert!(!read.contenders[0].holds());
    }

    #[test]
    fn every_form_has_the_figures_and_the_reasons() {
        let book = book();
        let text = table::text(&book.contenders[0]);
        for text in [text, markdown::report(&book), html::page(&book)] {
            for part in [
                "postgres/stopped",
                "BREAKS",
                "1,234",
                "1.5 s",
                "info: no answer",
                "14",
            ] {
                assert!(text.contains(part), "{part} in {text}");
            }
            assert!(text.contains("breaks under 1 of 2 faults; 1 not applicable"));
        }
    }

    #[test]
    fn what_others_wrote_is_no_markup() {
        let page = html::page(&book());
        assert!(page.contains("A &lt;fault&gt;."));
        assert!(markdown::report(&book()).contains(r"a\|b"));
    }
}
