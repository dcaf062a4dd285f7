//! Ctrl-C and SIGTERM as a flag that every wait checks, so that an interrupted command stops the
//! processes that it has started.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Time between two checks of a wait; most waits take tens of milliseconds.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Set once the process received a signal to end.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Creates one that is never set: signals keep their default action.
    pub fn never() -> Self {
        Self::default()
    }

    /// Creates one that is set.
    pub fn set() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }

    /// Creates one that SIGINT, SIGTERM and SIGHUP set.
    ///
    /// # Errors
    /// The signals cannot be handled.
    pub fn by_signal() -> Result<Self> {
        let interrupt = Self::default();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&interrupt.0))
                .with_context(|| format!("handling signal {signal}"))?;
        }
        Ok(interrupt)
    }

    /// Fails once it is set.
    ///
    /// # Errors
    /// `interrupted`.
    pub fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) {
            bail!("interrupted");
        }
        Ok(())
    }

    /// Calls `look` every few milliseconds until it returns a value; none after `time`.
    ///
    /// # Errors
    /// Interrupted, or `look` fails.
    pub fn wait<T>(
        &self,
        time: Duration,
        mut look: impl FnMut() -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        let deadline = Instant::now() + time;
        loop {
            self.check()?;
            if let Some(value) = look()? {
                return Ok(Some(value));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            sleep(POLL_INTERVAL);
        }
    }
}
