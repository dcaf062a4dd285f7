//! The levels of conformance.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A level of conformance; each contains the one before.
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
    /// The assertions of the k6 scripts of the public harness.
    Core,
    /// Proof that the work is done on every request, with unpredictable inputs.
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
