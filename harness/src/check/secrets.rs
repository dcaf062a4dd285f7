//! What must never be printed: every secret but the public bench ones, and every token signed with
//! one.

use schema::env::{JWT_SECRET, UPSTREAM_API_KEY, bench_value};

use super::verdict::{Failure, Outcome};

/// What is shown instead.
const HIDDEN: &str = "<hidden>";

/// The secrets that the contender runs with.
#[derive(Clone)]
pub struct Secrets {
    /// HS256 secret.
    pub jwt_secret: String,
    /// Key of the upstream.
    pub api_key: String,
}

impl Secrets {
    /// The public bench values.
    #[must_use]
    pub fn bench() -> Self {
        Self {
            jwt_secret: bench_value(&JWT_SECRET).to_owned(),
            api_key: bench_value(&UPSTREAM_API_KEY).to_owned(),
        }
    }

    /// The outcome without secrets and tokens, unless they are the bench ones.
    pub(crate) fn scrub(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Failed(failure) => Outcome::Failed(self.scrub_failure(failure)),
            Outcome::Deviates(failure) => Outcome::Deviates(self.scrub_failure(failure)),
            Outcome::Declared { why, failure } => Outcome::Declared {
                why,
                failure: self.scrub_failure(failure),
            },
            Outcome::Broken { why } => Outcome::Broken {
                why: self.scrub_text(&why),
            },
            other => other,
        }
    }

    fn scrub_failure(&self, failure: Failure) -> Failure {
        Failure {
            sent: failure.sent.map(|text| self.scrub_text(&text)),
            expected: self.scrub_text(&failure.expected),
            came: self.scrub_text(&failure.came),
            difference: failure
                .difference
                .iter()
                .map(|line| self.scrub_text(line))
                .collect(),
        }
    }

    fn scrub_text(&self, text: &str) -> String {
        let bench = Self::bench();
        let mut text = text.to_owned();
        if self.api_key != bench.api_key && !self.api_key.is_empty() {
            text = text.replace(&self.api_key, HIDDEN);
        }
        if self.jwt_secret != bench.jwt_secret && !self.jwt_secret.is_empty() {
            text = without_tokens(&text.replace(&self.jwt_secret, HIDDEN));
        }
        text
    }
}

/// A text whose words of three parts of base64, as tokens are, are hidden.
fn without_tokens(text: &str) -> String {
    let is_of_token = |c: char| c.is_ascii_alphanumeric() || "-_.=".contains(c);
    let mut hidden = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("eyJ") {
        let (before, from) = rest.split_at(start);
        let end = from.find(|c| !is_of_token(c)).unwrap_or(from.len());
        let (word, after) = from.split_at(end);
        hidden += before;
        hidden += if word.contains('.') { HIDDEN } else { word };
        rest = after;
    }
    hidden + rest
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
        assert_eq!(secrets.scrub(outcome), Outcome::Failed(failure(expected)));
    }

    #[test]
    fn the_public_ones_are_shown() {
        let secrets = Secrets::bench();
        let text = format!("{} Bearer eyJh.eyJz.x", secrets.jwt_secret);
        let outcome = Outcome::Deviates(failure(&text));
        assert_eq!(secrets.scrub(outcome.clone()), outcome);
    }
}
