//! What came of a check.

use serde::Serialize;

use super::request::Request;

/// What a check returns: nothing to say, or why it did not pass.
pub(crate) type Verdict = Result<(), Problem>;

/// Why a check did not pass.
#[derive(Debug)]
pub(crate) enum Problem {
    /// The contender did something else than was expected.
    Failed(Box<Failure>),
    /// It cannot be tried, and why.
    NotChecked(&'static str),
    /// The harness's own side broke: nothing is known of the contender.
    Broken(anyhow::Error),
}

/// What was expected, and what came instead.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Failure {
    /// The request, as a command line that sends it again; none if no single request failed.
    pub sent: Option<String>,
    /// What was expected.
    pub expected: String,
    /// What came.
    pub came: String,
    /// Where the two differ, a line each; empty where the two lines above say it all.
    pub difference: Vec<String>,
}

impl Failure {
    /// Of more than one request, or of none.
    pub fn new(expected: impl Into<String>, came: impl Into<String>) -> Self {
        Self {
            sent: None,
            expected: expected.into(),
            came: came.into(),
            difference: Vec::new(),
        }
    }

    /// Of this request.
    pub fn of(request: &Request, expected: impl Into<String>, came: impl Into<String>) -> Self {
        Self {
            sent: Some(request.command_line()),
            ..Self::new(expected, came)
        }
    }

    /// With the lines of a difference.
    pub fn differing(self, difference: Vec<String>) -> Self {
        Self { difference, ..self }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Self {
        Self::Broken(error)
    }
}

/// Fails unless `condition` holds.
pub(crate) fn ensure(
    condition: bool,
    expected: impl Into<String>,
    came: impl Into<String>,
) -> Result<(), Failure> {
    if condition {
        return Ok(());
    }
    Err(Failure::new(expected, came))
}

/// What became of a check in one run.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// It passed.
    Passed,
    /// It failed, and had to pass.
    Failed(Failure),
    /// It failed above the level that had to pass: reported, not required.
    Deviates(Failure),
    /// It failed as the contender declares.
    Declared {
        /// Why, in the contender's words.
        why: String,
        /// What was seen.
        #[serde(flatten)]
        failure: Failure,
    },
    /// It passed, but the contender declares that it does not.
    Stale {
        /// The declaration.
        why: String,
    },
    /// It could not be tried.
    NotChecked {
        /// What is missing for it.
        why: String,
    },
    /// The harness's own side broke.
    Broken {
        /// How.
        why: String,
    },
}
