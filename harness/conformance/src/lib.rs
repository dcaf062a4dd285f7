//! Conformance: does a contender do the work that the contract asks for, on every request?
//!
//! A check is data: a slug that never changes, a level, a description, the source of the rule, and the
//! dependencies of the contender that the harness must control. Checks run at the same time; a check
//! that uses the upstream or the database holds its lock.

mod catalogue;
mod client;
pub mod database;
mod expect;
pub mod random;
mod report;
pub mod request;
mod run;
mod subject;
pub mod upstream;
mod verdict;

use std::fmt;

pub use database::Database;
pub use report::{Format, Report, Row, checks_table};
pub use run::{Options, run, run_watched};
pub use subject::{Subject, Target};
pub use testbed::level::Level;
pub use testbed::secrets::Secrets;
pub use upstream::RecordingUpstream;
pub use verdict::{Failure, Outcome};

use verdict::Verdict;

/// A dependency of the contender that the harness controls.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Dependency {
    /// The upstream that the contender calls.
    Upstream,
    /// The database that the contender reads.
    Database,
    /// The process of that database, which is stopped and started.
    DatabaseServer,
}

impl Dependency {
    /// Says why a check that needs the dependency cannot run.
    fn missing(self) -> &'static str {
        match self {
            Self::Upstream => "the contender's upstream is not the harness's (--upstream-port)",
            Self::Database => "the contender's database is not known (--database-url)",
            Self::DatabaseServer => "the harness did not start the contender's Postgres",
        }
    }
}

/// One rule that a contender is checked for.
pub struct Check {
    /// The stable name, `endpoint/rule`.
    pub slug: String,
    /// The lowest level that includes the check.
    pub level: Level,
    /// The rule in one sentence.
    pub description: String,
    /// The source of the rule: a section of `docs/CONTRACT.md`, sections of RFCs.
    pub source: &'static str,
    /// The dependencies that the harness must control.
    needs: &'static [Dependency],
    /// True if the check causes a fault; such checks run last.
    fault: bool,
    /// True if the check mostly waits; such checks start first.
    waits: bool,
    /// True if a contender may declare that it deviates.
    declarable: bool,
    run: Box<dyn Fn(&Subject) -> Verdict + Send + Sync>,
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

/// Returns all checks, in the order of the contract.
#[must_use]
pub fn all() -> Vec<Check> {
    catalogue::all()
}
