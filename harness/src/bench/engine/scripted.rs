//! An engine for tests: it makes no load and measures what it was told.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

use super::{Engine, Load};
use crate::bench::record::Measured;
use crate::bench::watch::{Generator, Watch};

/// Gives prepared results in turn, without waiting.
#[derive(Debug)]
pub struct Scripted(Mutex<VecDeque<Measured>>);

impl Scripted {
    /// Of these results.
    #[must_use]
    pub fn new(results: impl IntoIterator<Item = Measured>) -> Self {
        Self(Mutex::new(results.into_iter().collect()))
    }
}

impl Engine for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn version(&self) -> Result<String> {
        Ok(env!("CARGO_PKG_VERSION").to_owned())
    }

    fn run(&self, load: &Load<'_>, watch: &mut Watch<'_>) -> Result<Measured> {
        let mut results = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let result = results
            .pop_front()
            .with_context(|| format!("no result is prepared for {}", load.scenario))?;
        watch.begin(Generator::Threads(Vec::new()));
        watch.end();
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::bench::engine::measure;
    use crate::bench::record::Pace;
    use crate::bench::scenario::Scenario;

    #[test]
    fn results_come_in_turn_and_then_no_more() {
        let result = |requests| Measured {
            requests,
            ..Measured::default()
        };
        let engine = Scripted::new([result(1), result(2)]);
        let load = Load {
            target: ([127, 0, 0, 1], 1).into(),
            scenario: Scenario::Info,
            inputs: &[],
            connections: 1,
            threads: 1,
            pace: Pace::Closed,
            warmup: Duration::ZERO,
            duration: Duration::from_secs(3600),
        };
        let next = || measure(&engine, &load);
        assert_eq!(next().unwrap(), result(1));
        assert_eq!(next().unwrap(), result(2));
        assert_eq!(
            next().unwrap_err().to_string(),
            "no result is prepared for info"
        );
    }
}
