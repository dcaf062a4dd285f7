//! Conformance: is a contender really doing the work?
//!
//! A check is data: a slug that never changes, a level, what it asks for and where that is written,
//! and what it needs of the contender's surroundings. Checks run at the same time; whoever uses
//! the upstream or the database takes its turn with it.

mod catalogue;
mod client;
pub mod database;
mod expect;
pub mod random;
mod report;
pub mod request;
mod run;
mod scrub;
mod subject;
pub mod upstream;
mod verdict;

use std::fmt;

pub use report::{Format, Report, Row, checks_table};
pub use run::run_watched;
pub use run::{Options, run};
pub use subject::{DatabaseSide, Subject, Target, UpstreamSide};
pub use testbed::level::Level;
pub use testbed::secrets::Secrets;
pub use verdict::{Failure, Outcome};

use verdict::Verdict;

/// A part of the contender's surroundings that a check needs in its hands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// The upstream that the contender calls.
    Upstream,
    /// The database that the contender reads.
    Database,
    /// The process of that database, to stop it and start it.
    DatabaseServer,
}

impl Side {
    /// What a check that needs it and has it not says.
    pub fn missing(self) -> &'static str {
        match self {
            Self::Upstream => "the contender's upstream is not the harness's (--upstream-port)",
            Self::Database => "the contender's database is not known (--database-url)",
            Self::DatabaseServer => "the harness did not start the contender's Postgres",
        }
    }
}

/// One thing that is asked of a contender.
pub struct Check {
    /// Stable name, `endpoint/what`.
    pub slug: String,
    /// The level from which on it is asked for.
    pub level: Level,
    /// What is asked and why: one sentence.
    pub what: String,
    /// Where it is written: a section of `docs/CONTRACT.md`, sections of RFCs.
    pub source: &'static str,
    /// What it needs in its hands.
    pub needs: &'static [Side],
    /// Whether it brings a fault about; such checks run last.
    pub fault: bool,
    /// Whether a contender may declare that it deviates, and be none the worse for it.
    pub declarable: bool,
    run: Box<dyn Fn(&Subject) -> Verdict + Send + Sync>,
}

impl Check {
    fn new(
        slug: impl Into<String>,
        level: Level,
        what: impl Into<String>,
        source: &'static str,
        run: impl Fn(&Subject) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        Self {
            slug: slug.into(),
            level,
            what: what.into(),
            source,
            needs: &[],
            fault: false,
            declarable: level == Level::Strict,
            run: Box::new(run),
        }
    }

    fn needs(self, needs: &'static [Side]) -> Self {
        Self { needs, ..self }
    }

    fn fault(self) -> Self {
        Self {
            fault: true,
            ..self
        }
    }

    fn declarable(self) -> Self {
        Self {
            declarable: true,
            ..self
        }
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Check")
            .field("slug", &self.slug)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

/// All checks, in the order of the contract.
#[must_use]
pub fn all() -> Vec<Check> {
    catalogue::all()
}
