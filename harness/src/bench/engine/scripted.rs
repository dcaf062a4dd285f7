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
