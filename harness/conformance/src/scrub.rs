//! Hides secrets and tokens in the outcomes of checks.

use testbed::secrets::Secrets;

use crate::verdict::{Failure, Outcome};

/// The outcome without secrets and tokens, unless they are the bench ones.
pub(crate) fn scrub(secrets: &Secrets, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Failed(failure) => Outcome::Failed(scrub_failure(secrets, failure)),
        Outcome::Deviates(failure) => Outcome::Deviates(scrub_failure(secrets, failure)),
        Outcome::Declared { why, failure } => Outcome::Declared {
            why,
            failure: scrub_failure(secrets, failure),
        },
        Outcome::Broken { why } => Outcome::Broken {
            why: secrets.hide(&why),
        },
        other => other,
    }
}

fn scrub_failure(secrets: &Secrets, failure: Failure) -> Failure {
    Failure {
        sent: failure.sent.map(|text| secrets.hide(&text)),
        expected: secrets.hide(&failure.expected),
        came: secrets.hide(&failure.came),
        difference: failure
            .difference
            .iter()
            .map(|line| secrets.hide(line))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(text: &str) -> Failure {
        Failure {
            sent: Some(text.to_owned()),
            ..Failure::new(text, text).differing(vec![text.to_owned()])
        }
    }

    #[test]
    fn secrets_and_tokens_of_one_s_own_are_hidden_everywhere() {
        let secrets = Secrets {
            jwt_secret: "s3cret".to_owned(),
            api_key: "k3y".to_owned(),
        };
        let outcome = Outcome::Failed(failure("a s3cret, k3y and 'Bearer eyJh.eyJz.x-_1' eyJ"));
        let expected = "a <hidden>, <hidden> and 'Bearer <hidden>' eyJ";
        assert_eq!(scrub(&secrets, outcome), Outcome::Failed(failure(expected)));
    }

    #[test]
    fn the_public_ones_are_shown() {
        let secrets = Secrets::bench();
        let text = format!("{} Bearer eyJh.eyJz.x", secrets.jwt_secret);
        let outcome = Outcome::Deviates(failure(&text));
        assert_eq!(scrub(&secrets, outcome.clone()), outcome);
    }
}
