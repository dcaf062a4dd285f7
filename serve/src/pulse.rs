//! What a connection's service tells the connection's other parts: whether it is at work, since when
//! it is not, and whether it failed.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// In place of a time: a request is with the service.
const AT_WORK: u64 = u64::MAX;

/// Of one connection. Only one thread ever looks at it.
pub(crate) struct Pulse {
    opened: Instant,
    /// Since when no request is with the service, in milliseconds after `opened`, or [`AT_WORK`].
    quiet_since: AtomicU64,
    failed: AtomicBool,
}

impl Pulse {
    /// Of a connection that has just been opened.
    pub(crate) fn new() -> Self {
        Self {
            opened: Instant::now(),
            quiet_since: AtomicU64::new(0),
            failed: AtomicBool::new(false),
        }
    }

    /// A request is with the service.
    pub(crate) fn begin(&self) {
        self.quiet_since.store(AT_WORK, Ordering::Relaxed);
    }

    /// Its answer is there.
    pub(crate) fn end(&self) {
        let now = self.opened.elapsed().as_millis();
        let now = u64::try_from(now).unwrap_or(AT_WORK);
        self.quiet_since.store(now, Ordering::Relaxed);
    }

    /// The service failed: the connection is to end with a reset instead of an answer.
    pub(crate) fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Waits until the connection has been quiet for this long: neither has a request's head come in,
    /// nor is an answer being made. One timer for a whole connection: hyper's own is set and taken back
    /// for each request.
    pub(crate) async fn is_quiet_for(&self, limit: Duration) {
        let mut end = self.opened + limit;
        loop {
            sleep_until(end).await;
            let now = Instant::now();
            let since = match self.quiet_since.load(Ordering::Relaxed) {
                AT_WORK => now,
                since => self.opened + Duration::from_millis(since),
            };
            end = since + limit;
            if end <= now {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{sleep, timeout};

    use super::*;

    const LIMIT: Duration = Duration::from_millis(100);

    async fn quiet_after(pulse: &Pulse) -> Duration {
        pulse.is_quiet_for(LIMIT).await;
        pulse.opened.elapsed()
    }

    #[tokio::test]
    async fn silence_counts_from_the_opening_or_from_the_last_answer() {
        let pulse = Pulse::new();
        assert!(quiet_after(&pulse).await >= LIMIT);
        let pulse = Pulse::new();
        sleep(LIMIT / 2).await;
        pulse.begin();
        pulse.end();
        assert!(quiet_after(&pulse).await >= LIMIT * 3 / 2 - Duration::from_millis(1));
    }

    #[tokio::test]
    async fn who_is_at_work_is_not_quiet() {
        let pulse = Pulse::new();
        pulse.begin();
        assert!(timeout(LIMIT * 3, pulse.is_quiet_for(LIMIT)).await.is_err());
    }
}
