//! Ctrl-C and SIGTERM as a flag that every wait looks at, so that an interrupted `up` stops what
//! it has started before it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// How often a wait looks again: what is waited for takes tens of milliseconds.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Whether the process was asked to end.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Never set: signals keep their default action.
    pub fn never() -> Self {
        Self::default()
    }

    /// Set already.
    pub fn set() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }

    /// Set by SIGINT, SIGTERM and SIGHUP from now on.
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

    /// Fails once the process was asked to end.
    ///
    /// # Errors
    /// `interrupted`.
    pub fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) {
            bail!("interrupted");
        }
        Ok(())
    }

    /// Looks every few milliseconds until `look` gives a value; none when `time` is over.
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
