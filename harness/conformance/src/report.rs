//! What a run has shown: as a table for people, as Markdown, JSON and JUnit's XML.

mod junit;
mod markdown;
mod table;

use std::time::Duration;

use serde::Serialize;

use super::run::Options;
use super::verdict::{Failure, Outcome};
use super::{Check, Level};

pub use markdown::checks_table;

/// One check and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The check's name.
    pub slug: String,
    /// Its level.
    pub level: Level,
    /// What it asks for.
    pub what: String,
    /// Where that is written.
    pub source: &'static str,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Time it took, turns that it waited for included.
    pub took_ms: u64,
}

impl Row {
    pub fn new(check: &Check, outcome: Outcome, took: Duration) -> Self {
        Self {
            slug: check.slug.clone(),
            level: check.level,
            what: check.what.clone(),
            source: check.source,
            outcome,
            took_ms: millis(took),
        }
    }

    /// What differed, if anything did.
    pub fn failure(&self) -> Option<&Failure> {
        match &self.outcome {
            Outcome::Failed(failure)
            | Outcome::Deviates(failure)
            | Outcome::Declared { failure, .. } => Some(failure),
            _ => None,
        }
    }

    /// The outcome in a word or two.
    pub fn word(&self) -> &'static str {
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

    /// Why, where that is one sentence.
    pub fn why(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Declared { why, .. }
            | Outcome::NotChecked { why }
            | Outcome::Broken { why }
            | Outcome::Stale { why } => Some(why),
            Outcome::Passed | Outcome::Failed(_) | Outcome::Deviates(_) => None,
        }
    }

    /// Whether the contender is the worse for it.
    fn is_failure(&self) -> bool {
        matches!(self.outcome, Outcome::Failed(_) | Outcome::Stale { .. })
    }
}

/// What is said of a run against the physical limit.
const BY_DESIGN: &str =
    "fails by design: it is no contender, but the physical limit that the others are a fraction of";

/// A run against one contender.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Its name, or its URL.
    pub contender: String,
    /// What it is made of, such as `Rust, axum 0.8`; empty if it is not known.
    pub made_of: String,
    /// Whether it is no contender but the physical limit, which fails by design.
    pub is_limit: bool,
    /// The level up to which checks ran.
    pub level: Level,
    /// The level up to which they had to pass.
    pub required: Level,
    /// Time of the whole run.
    pub took_ms: u64,
    /// Every check that ran, in the order of the contract.
    pub checks: Vec<Row>,
}

impl Report {
    pub fn new(options: &Options, checks: Vec<Row>, took: Duration) -> Self {
        Self {
            contender: String::new(),
            made_of: String::new(),
            is_limit: false,
            level: options.level,
            required: options.required,
            took_ms: millis(took),
            checks,
        }
    }

    /// Of this contender.
    #[must_use]
    pub fn of(self, contender: &str, made_of: &str) -> Self {
        Self {
            contender: contender.to_owned(),
            made_of: made_of.to_owned(),
            ..self
        }
    }

    /// Of the physical limit, if `is_limit`.
    #[must_use]
    pub fn of_limit(self, is_limit: bool) -> Self {
        Self { is_limit, ..self }
    }

    /// Whether all that had to pass did, and no declaration is stale.
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.checks.iter().any(Row::is_failure)
    }

    /// Whether the harness's own side held.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        !self
            .checks
            .iter()
            .any(|row| matches!(row.outcome, Outcome::Broken { .. }))
    }

    /// How many checks of a level, and how many of them have this outcome.
    pub fn count(&self, level: Level, fits: impl Fn(&Outcome) -> bool) -> usize {
        let rows = self.checks.iter().filter(|row| row.level == level);
        rows.filter(|row| fits(&row.outcome)).count()
    }
}

/// How reports are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// For people: a table of levels, and what did not pass in full.
    Text {
        /// Whether what passed is listed too.
        verbose: bool,
    },
    /// A table of checks and what did not pass.
    Markdown,
    /// An array of reports.
    Json,
    /// A suite per contender and level.
    Junit,
}

impl Format {
    /// The reports in this format.
    ///
    /// # Errors
    /// They cannot be written as XML.
    pub fn write(self, reports: &[Report]) -> anyhow::Result<String> {
        Ok(match self {
            Self::Text { verbose } => joined(reports, |report| table::text(report, verbose)),
            Self::Markdown => joined(reports, markdown::report),
            Self::Json => serde_json::to_string_pretty(reports)? + "\n",
            Self::Junit => junit::xml(reports)?,
        })
    }
}

fn joined(reports: &[Report], write: impl Fn(&Report) -> String) -> String {
    reports.iter().map(write).collect::<Vec<_>>().join("\n")
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
