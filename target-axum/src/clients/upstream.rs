//! What both clients of the upstream do alike: their credentials, and how a failure is answered.

use std::time::Duration;

use http::{HeaderValue, StatusCode};
use schema::ErrorCode;
use schema::limits::UPSTREAM_CALL_TIMEOUT;
use tokio::time::{Instant, timeout_at};
use tower::BoxError;

use crate::config::UpstreamConfig;
use crate::error::Error;

/// Idle connections are dropped before an upstream that keeps them for a minute would drop them.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest wait for a free connection, so that half of the deadline is left for the call itself. If
/// waiting could use all of it, then under lasting overload the next in the queue would always be one
/// with no time left: every call would end unfinished, and almost nobody be answered.
const WAIT_TIMEOUT: Duration = Duration::from_millis(2500);

/// The key in the form that the upstream asks for; never printed.
pub(super) fn authorization(config: &UpstreamConfig) -> HeaderValue {
    let mut authorization = HeaderValue::try_from(format!("Bearer {}", config.api_key))
        .expect("the configuration admits visible ASCII only");
    authorization.set_sensitive(true);
    authorization
}

/// A whole call within its deadline: `call` is given the place that `wait` has waited for.
pub(super) async fn in_time<P, T, C>(
    wait: impl Future<Output = P>,
    call: impl FnOnce(P) -> C,
) -> Result<T, Error>
where
    C: Future<Output = Result<T, Error>>,
{
    let asked = Instant::now();
    let place = timeout_at(asked + WAIT_TIMEOUT, wait).await;
    let place = place.map_err(timed_out)?;
    let called = timeout_at(asked + UPSTREAM_CALL_TIMEOUT, call(place)).await;
    called.unwrap_or_else(|elapsed| Err(timed_out(elapsed)))
}

/// Only 200 is the product: a redirect is not followed.
pub(super) fn must_be_ok(status: StatusCode) -> Result<(), Error> {
    match status {
        StatusCode::OK => Ok(()),
        status => Err(unavailable(format!("the upstream answered {status}"))),
    }
}

pub(super) fn unavailable(cause: impl Into<BoxError>) -> Error {
    Error::from(ErrorCode::UpstreamUnavailable).because(cause)
}

pub(super) fn timed_out(cause: impl Into<BoxError>) -> Error {
    Error::from(ErrorCode::UpstreamTimeout).because(cause)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::sync::Semaphore;
    use tokio::task::LocalSet;
    use tokio::time::sleep;

    use super::*;

    const PLACES: usize = 10;
    const CALL: Duration = Duration::from_millis(100);

    #[test]
    fn half_of_the_deadline_is_left_for_the_call() {
        assert_eq!(WAIT_TIMEOUT * 2, UPSTREAM_CALL_TIMEOUT);
    }

    /// As many clients as a hundred times the places, each asking again as soon as it is answered. They
    /// come one after the other: who comes together gives up together, and then all have time again.
    #[tokio::test(start_paused = true)]
    async fn lasting_overload_leaves_no_place_to_a_call_in_vain() {
        thread_local!(static ANSWERED: Cell<u32> = const { Cell::new(0) });
        let places: &Semaphore = Box::leak(Box::new(Semaphore::new(PLACES)));
        let clients = LocalSet::new();
        for index in 0..100 * PLACES {
            clients.spawn_local(async move {
                sleep(CALL * u32::try_from(index).unwrap() / 20).await;
                loop {
                    let call = |place| async move {
                        sleep(CALL).await;
                        drop(place);
                        Ok(())
                    };
                    if in_time(places.acquire(), call).await.is_ok() {
                        ANSWERED.set(ANSWERED.get() + 1);
                    }
                }
            });
        }
        let (settle, watched) = (4 * UPSTREAM_CALL_TIMEOUT, 100 * CALL);
        clients.run_until(sleep(settle)).await;
        let before = ANSWERED.get();
        clients.run_until(sleep(watched)).await;
        let possible = 100 * u32::try_from(PLACES).unwrap();
        let answered = ANSWERED.get() - before;
        // More than there are places for would be no overload.
        let expected = possible * 9 / 10..=possible * 11 / 10;
        assert!(expected.contains(&answered), "{answered} of {possible}");
    }
}
