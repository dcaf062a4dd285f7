//! The result of a run: as text for people, as Markdown, JSON, JUnit XML and a badge.

mod badge;
mod junit;
mod markdown;
mod text;

use std::time::Duration;

use serde::Serialize;

use crate::run::Options;
use crate::verdict::{Failure, Outcome};
use crate::{Check, Level};
use testbed::contender::Category;

pub use markdown::checks_table;

/// A check and its outcome.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The check's slug.
    pub slug: String,
    /// The check's level.
    pub level: Level,
    /// The rule in one sentence.
    pub description: String,
    /// The source of the rule.
    pub source: &'static str,
    /// The outcome.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Time of the check, with its wait for locks.
    pub took_ms: u64,
}

impl Row {
    pub(crate) fn new(check: &Check, outcome: Outcome, took: Duration) -> Self {
        Self {
            slug: check.slug.clone(),
            level: check.level,
            description: check.description.clone(),
            source: check.source,
            outcome,
            took_ms: millis(took),
        }
    }

    /// Returns the difference between expected and actual behaviour, if there is one.
    pub fn failure(&self) -> Option<&Failure> {
        match &self.outcome {
            Outcome::Failed(failure)
            | Outcome::Deviates(failure)
            | Outcome::Declared { failure, .. } => Some(failure),
            _ => None,
        }
    }

    /// Names the outcome in a word or two.
    fn label(&self) -> &'static str {
        match self.outcome {
            Outcome::Passed => "passed",
            Outcome::Failed(_) => "FAILED",
            Outcome::Deviates(_) => "deviates",
            Outcome::Declared { .. } => "declared",
            Outcome::Stale { .. } => "STALE DECLARATION",
            Outcome::NotChecked { .. } => "not checked",
            Outcome::Broken { .. } => "BROKEN",
        }
    }

    /// Returns the reason of the outcome, where it is one sentence.
    fn why(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Declared { why, .. }
            | Outcome::NotChecked { why }
            | Outcome::Broken { why }
            | Outcome::Stale { why } => Some(why),
            Outcome::Passed | Outcome::Failed(_) | Outcome::Deviates(_) => None,
        }
    }

    fn is_failure(&self) -> bool {
        matches!(self.outcome, Outcome::Failed(_) | Outcome::Stale { .. })
    }
}

/// Follows the name of the ceiling in a report.
const BY_DESIGN: &str =
    "fails by design: it is not a contender but the ceiling that contenders are compared with";

/// The result of a run against one contender.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The name or the URL of the contender.
    pub contender: String,
    /// Language and framework, such as `Rust, axum 0.8`; empty if they are not known.
    pub made_of: String,
    pub category: Category,
    /// Checks up to this level ran.
    pub level: Level,
    /// Checks up to this level had to pass.
    pub required: Level,
    /// Time of the whole run.
    pub took_ms: u64,
    /// Every check that was selected, in the order of the contract.
    pub checks: Vec<Row>,
}

impl Report {
    pub(crate) fn new(options: &Options, checks: Vec<Row>, took: Duration) -> Self {
        Self {
            contender: String::new(),
            made_of: String::new(),
            category: Category::Standard,
            level: options.level,
            required: options.required,
            took_ms: millis(took),
            checks,
        }
    }

    /// Sets the contender.
    #[must_use]
    pub fn of(self, contender: &str, made_of: &str, category: Category) -> Self {
        Self {
            contender: contender.to_owned(),
            made_of: made_of.to_owned(),
            category,
            ..self
        }
    }

    /// Returns the remark on a contender that fails by design.
    fn by_design(&self) -> Option<String> {
        let is_ceiling = self.category == Category::Ceiling;
        is_ceiling.then(|| format!("{} {BY_DESIGN}", self.contender))
    }

    /// Returns true if all required checks passed, and no declaration is stale.
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.checks.iter().any(Row::is_failure)
    }

    /// Returns the slugs of the checks that had to pass and did not.
    pub fn failed(&self) -> impl Iterator<Item = &str> {
        let failed = self.checks.iter().filter(|row| row.is_failure());
        failed.map(|row| row.slug.as_str())
    }

    /// Renders for people the checks whose outcome is not that of the former report, and a summary.
    #[must_use]
    pub fn changes_since(&self, former: &Self) -> String {
        text::changes(self, former)
    }

    /// Returns true if the harness itself did not fail.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let mut outcomes = self.checks.iter().map(|row| &row.outcome);
        !outcomes.any(|outcome| matches!(outcome, Outcome::Broken { .. }))
    }
}

/// The format of reports.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// A table of levels and all that did not pass, for people.
    Text {
        /// Lists what passed too.
        verbose: bool,
    },
    /// A table of checks and what did not pass.
    Markdown,
    /// An array of reports.
    Json,
    /// A JUnit suite per contender.
    Junit,
    /// A badge as SVG.
    Badge,
    /// A badge as the JSON that shields.io reads.
    Shields,
}

impl Format {
    /// Renders reports in this format.
    ///
    /// # Errors
    /// They cannot be written as XML.
    pub fn write(self, reports: &[Report]) -> anyhow::Result<String> {
        Ok(match self {
            Self::Text { verbose } => joined(reports, |report| text::report(report, verbose)),
            Self::Markdown => joined(reports, markdown::report),
            Self::Json => serde_json::to_string_pretty(reports)? + "\n",
            Self::Junit => junit::xml(reports)?,
            Self::Badge => joined(reports, badge::svg),
            Self::Shields => joined(reports, badge::shields),
        })
    }
}

fn joined(reports: &[Report], write: impl Fn(&Report) -> String) -> String {
    reports.iter().map(write).collect::<Vec<_>>().join("\n")
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(category: Category) -> Report {
        let row = |slug: &str, outcome| Row {
            slug: slug.to_owned(),
            level: Level::Core,
            description: "A rule.".to_owned(),
            source: "docs/CONTRACT.md",
            outcome,
            took_ms: 1,
        };
        let failure = Failure::new("200", "a|b");
        let why = "no fields".to_owned();
        let declared = Outcome::Declared {
            why,
            failure: failure.clone(),
        };
        Report {
            contender: "mine".to_owned(),
            made_of: "L, F".to_owned(),
            category,
            level: Level::Strict,
            required: Level::Core,
            took_ms: 1500,
            checks: vec![
                row("a/passes", Outcome::Passed),
                row("a/fails", Outcome::Failed(failure)),
                row("a/declared", declared),
            ],
        }
    }

    #[test]
    fn outcomes_are_in_every_format() {
        let text = Format::Text { verbose: false };
        for (format, texts) in [
            (
                text,
                ["mine (L, F): 3 checks in 1.5 s", "a/fails", "no fields"],
            ),
            (
                Format::Markdown,
                [
                    "| `a/passes` | core | passed |",
                    "a\\|b",
                    "no fields (expected",
                ],
            ),
            (
                Format::Json,
                [
                    "\"slug\": \"a/fails\"",
                    "\"actual\": \"a|b\"",
                    "\"declared\"",
                ],
            ),
            (
                Format::Junit,
                ["tests=\"3\"", "failures=\"1\"", "expected 200; actual a|b"],
            ),
            (Format::Badge, ["</svg>", "contract: core 1/3", "#cc4433"]),
            (
                Format::Shields,
                ["\"schemaVersion\":1", "\"core 1/3\"", "\"red\""],
            ),
        ] {
            let written = format.write(&[report(Category::Standard)]).unwrap();
            for text in texts {
                assert!(written.contains(text), "{text} in {written}");
            }
        }
        let verbose = Format::Text { verbose: true };
        let written = verbose.write(&[report(Category::Standard)]).unwrap();
        assert!(written.contains("a/passes"), "{written}");
    }

    #[test]
    fn ceiling_is_named_in_every_format() {
        let text = Format::Text { verbose: false };
        for format in [text, Format::Markdown, Format::Junit] {
            let written = format.write(&[report(Category::Ceiling)]).unwrap();
            assert!(written.contains(&format!("mine {BY_DESIGN}")), "{written}");
            let written = format.write(&[report(Category::Standard)]).unwrap();
            assert!(!written.contains(BY_DESIGN), "{written}");
        }
        let json = Format::Json.write(&[report(Category::Ceiling)]).unwrap();
        assert!(json.contains("\"category\": \"ceiling\""), "{json}");
    }
}
