//! What a connection's service tells the connection's other parts: whether it is at work, since when
//! it is not, and whether it failed.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use tokio::time::sleep;

/// In place of a time: a request is with the service.
const AT_WORK: u64 = u64::MAX;

/// Of one connection. Only one thread ever looks at it.
pub(crate) struct Pulse {
    /// Since when no request is with the service, in milliseconds of [`now`], or [`AT_WORK`].
    quiet_since: AtomicU64,
    failed: AtomicBool,
}

impl Pulse {
    /// Of a connection that has just been opened.
    pub(crate) fn new() -> Self {
        Self {
            quiet_since: AtomicU64::new(now()),
            failed: AtomicBool::new(false),
        }
    }

    /// A request is with the service.
    pub(crate) fn begin(&self) {
        self.quiet_since.store(AT_WORK, Ordering::Relaxed);
    }

    /// Its answer is there.
    pub(crate) fn end(&self) {
        self.quiet_since.store(now(), Ordering::Relaxed);
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
        let mut rest = limit;
        while !rest.is_zero() {
            sleep(rest).await;
            let quiet = match self.quiet_since.load(Ordering::Relaxed) {
                AT_WORK => Duration::ZERO,
                since => Duration::from_millis(now().saturating_sub(since)),
            };
            rest = limit.saturating_sub(quiet);
        }
    }
}

/// The time in milliseconds since some point in the past, as of the kernel's last tick: a few of them
/// late, and read in a quarter of the time that the exact one takes.
fn now() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE);
    let now = Duration::from(now.expect("every Linux has this clock"));
    u64::try_from(now.as_millis()).unwrap_or(AT_WORK)
}

#[cfg(test)]
mod tests {
    use tokio::join;
    use tokio::time::{Instant, timeout};

    use super::*;

    const LIMIT: Duration = Duration::from_millis(100);

    /// By so much the time of the kernel's last tick is late, at the slowest rate it is built with.
    const TICK: Duration = Duration::from_millis(10);

    async fn quiet_after(pulse: &Pulse) -> Duration {
        let begin = Instant::now();
        pulse.is_quiet_for(LIMIT).await;
        begin.elapsed()
    }

    #[tokio::test]
    async fn silence_counts_from_the_opening_or_from_the_last_answer() {
        let pulse = Pulse::new();
        assert!(quiet_after(&pulse).await >= LIMIT);
        let pulse = Pulse::new();
        let answer = async {
            sleep(LIMIT / 2).await;
            pulse.begin();
            pulse.end();
        };
        let (waited, ()) = join!(quiet_after(&pulse), answer);
        assert!(waited >= LIMIT * 3 / 2 - TICK);
    }

    #[tokio::test]
    async fn who_is_at_work_is_not_quiet() {
        let pulse = Pulse::new();
        pulse.begin();
        assert!(timeout(LIMIT * 3, pulse.is_quiet_for(LIMIT)).await.is_err());
    }
}
