//! Looks at everybody's cost while an engine runs, ten times a second.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::process::Pid;

use crate::interrupt::Interrupt;

/// Time between two looks.
pub const INTERVAL: Duration = Duration::from_millis(100);

/// The engine as the system sees it.
#[derive(Clone, Debug)]
pub enum Generator {
    /// A process and all its descendants.
    Process(Pid),
    /// Threads of this process.
    Threads(Vec<Pid>),
}

/// What an engine tells about its measured time.
#[derive(Debug)]
pub struct Watch<'a> {
    interrupt: &'a Interrupt,
}

impl<'a> Watch<'a> {
    /// Looks at nobody: for an engine on its own.
    pub(crate) fn nobody(interrupt: &'a Interrupt) -> Self {
        Self { interrupt }
    }

    /// The measured time begins now, with this engine.
    pub fn begin(&mut self, _generator: Generator) {}

    /// Looks, again and again, until then.
    ///
    /// # Errors
    /// The process was asked to end.
    pub fn until(&mut self, end: Instant) -> Result<()> {
        loop {
            self.interrupt.check()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            sleep(left.min(INTERVAL));
        }
    }

    /// The measured time ends now.
    pub fn end(&mut self) {}
}
