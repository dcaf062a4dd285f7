//! The result of a check.

use serde::Serialize;

use crate::request::Request;

/// The result of running a check.
pub(crate) type Verdict<T = ()> = Result<T, Problem>;

/// The reason why a check did not pass.
#[derive(Debug)]
pub(crate) enum Problem {
    /// The contender did not do what was expected.
    Failed(Box<Failure>),
    /// The check cannot run, and why.
    NotChecked(&'static str),
    /// The harness itself failed: nothing is known of the contender.
    Broken(anyhow::Error),
}

/// A difference between the expected and the actual behaviour.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Failure {
    /// A command line that repeats the request; none if no single request failed.
    pub sent: Option<String>,
    /// The expected behaviour.
    pub expected: String,
    /// The actual behaviour.
    pub actual: String,
    /// The differences, a line each; empty where the two texts above say it all.
    pub difference: Vec<String>,
}

impl Failure {
    /// Creates a failure of several requests, or of none.
    pub(crate) fn new(expected: impl Into<String>, actual: impl Into<String>) -> Self {
        Self {
            sent: None,
            expected: expected.into(),
            actual: actual.into(),
            difference: Vec::new(),
        }
    }

    /// Creates a failure of one request.
    pub(crate) fn of(
        request: &Request,
        expected: impl Into<String>,
        actual: impl Into<String>,
    ) -> Self {
        Self {
            sent: Some(request.command_line()),
            ..Self::new(expected, actual)
        }
    }

    fn map(self, change: impl Fn(&str) -> String) -> Self {
        Self {
            sent: self.sent.map(|text| change(&text)),
            expected: change(&self.expected),
            actual: change(&self.actual),
            difference: self.difference.iter().map(|line| change(line)).collect(),
        }
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

/// Fails unless `condition` is true.
pub(crate) fn ensure(
    condition: bool,
    expected: impl Into<String>,
    actual: impl Into<String>,
) -> Verdict {
    match condition {
        true => Ok(()),
        false => Err(Failure::new(expected, actual).into()),
    }
}

/// The outcome of a check in one run.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// The check passed.
    Passed,
    /// The check failed and is required.
    Failed(Failure),
    /// The check failed and is not required: it is of a higher level.
    Deviates(Failure),
    /// The check failed as the contender declares.
    Declared {
        /// The reason, in the contender's words.
        why: String,
        /// The failure.
        #[serde(flatten)]
        failure: Failure,
    },
    /// The check passed, but the contender declares that it does not.
    Stale {
        /// The declaration.
        why: String,
    },
    /// The check could not run.
    NotChecked {
        /// The missing dependency.
        why: String,
    },
    /// The harness itself failed.
    Broken {
        /// The error.
        why: String,
    },
}

impl Outcome {
    /// Changes every text about the contender, such as to hide secrets.
    pub(crate) fn map(self, change: impl Fn(&str) -> String) -> Self {
        match self {
            Self::Failed(failure) => Self::Failed(failure.map(change)),
            Self::Deviates(failure) => Self::Deviates(failure.map(change)),
            Self::Declared { why, failure } => {
                let failure = failure.map(change);
                Self::Declared { why, failure }
            }
            Self::Broken { why } => Self::Broken { why: change(&why) },
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use testbed::secrets::Secrets;

    use super::*;

    fn failure(text: &str) -> Failure {
        Failure {
            sent: Some(text.to_owned()),
            difference: vec![text.to_owned()],
            ..Failure::new(text, text)
        }
    }

    #[test]
    fn private_secrets_and_tokens_are_hidden_everywhere() {
        let secrets = Secrets {
            jwt_secret: "s3cret".to_owned(),
            api_key: "k3y".to_owned(),
        };
        let outcome = Outcome::Failed(failure("a s3cret, k3y and 'Bearer eyJh.eyJz.x-_1' eyJ"));
        let expected = "a <hidden>, <hidden> and 'Bearer <hidden>' eyJ";
        let hidden = outcome.map(|text| secrets.hide(text));
        assert_eq!(hidden, Outcome::Failed(failure(expected)));
    }

    #[test]
    fn public_secrets_are_shown() {
        let secrets = Secrets::bench();
        let text = format!("{} Bearer eyJh.eyJz.x", secrets.jwt_secret);
        let outcome = Outcome::Deviates(failure(&text));
        assert_eq!(outcome.clone().map(|text| secrets.hide(text)), outcome);
    }
}
