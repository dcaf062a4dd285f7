//! The secrets a contender runs with, which must never be printed unless they are the public bench
//! ones.

use schema::env::{JWT_SECRET, UPSTREAM_API_KEY, bench_value};

/// The text shown instead.
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

    /// Hides every secret and token in a text, unless they are the bench ones.
    #[must_use]
    pub fn hide(&self, text: &str) -> String {
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
