//! The levels of conformance.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How much is asked of a contender; each level contains the one before.
#[derive(
    Clone,
    Copy,
    Debug,
    Deserialize,
    Eq,
    Hash,
    Ord,
    PartialEq,
    PartialOrd,
    Serialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// What the public harness's k6 scripts assert.
    Core,
    /// Proof that the work is done on every request, with inputs that cannot be known.
    Work,
    /// The whole contract.
    Strict,
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Core => "core",
            Self::Work => "work",
            Self::Strict => "strict",
        })
    }
}
