//! One worker's connections to one peer, shared by the other files of this folder:
//!
//! - Open connections, idle and in use, are never more than there are permits.
//! - Permits are given in the order of the calls, and only the holder of one opens a connection.
//! - A call owns its connection. Only [`Permit::put_back`] returns it to the pool; a call that fails
//!   or is dropped halfway closes it.
//! - The connection used last is reused first, and idle connections are closed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::interval;

pub(super) struct Pool<C> {
    permits: Semaphore,
    idle: Arc<Mutex<Stack<C>>>,
}

/// Idle connections and the start of their idle time; the latest is the last.
type Stack<C> = Vec<(Instant, C)>;

impl<C: Send + 'static> Pool<C> {
    /// Creates a pool of at most `connections`, each idle for no longer than `idle_max` and a half.
    /// Must be called within the worker's runtime.
    pub(super) fn new(connections: usize, idle_max: Duration) -> Self {
        let idle = Arc::new(Mutex::new(Vec::with_capacity(connections)));
        tokio::spawn(close_idle(Arc::downgrade(&idle), idle_max));
        Self {
            permits: Semaphore::new(connections),
            idle,
        }
    }

    /// Waits for a permit.
    pub(super) async fn acquire(&self) -> Permit<'_, C> {
        let permit = self.permits.acquire().await;
        Permit {
            idle: &self.idle,
            _permit: permit.expect("the semaphore is never closed"),
        }
    }
}

/// The right to one connection.
pub(super) struct Permit<'a, C> {
    idle: &'a Mutex<Stack<C>>,
    _permit: SemaphorePermit<'a>,
}

impl<C> Permit<'_, C> {
    /// Takes the idle connection used last. Without one, the caller may open one; the holder of a
    /// broken one may drop it and take another.
    pub(super) fn take(&self) -> Option<C> {
        lock(self.idle).pop().map(|(_, connection)| connection)
    }

    /// Keeps a connection, on which nothing is in flight, for the next call.
    pub(super) fn put_back(self, connection: C) {
        lock(self.idle).push((Instant::now(), connection));
    }
}

/// Closes connections that were idle for too long, until the pool is dropped.
async fn close_idle<C>(idle: Weak<Mutex<Stack<C>>>, idle_max: Duration) {
    let mut ticks = interval(idle_max / 2);
    loop {
        ticks.tick().await;
        let Some(idle) = idle.upgrade() else {
            return;
        };
        let mut idle = lock(&idle);
        let stale = idle.partition_point(|(since, _)| since.elapsed() >= idle_max);
        idle.drain(..stale);
    }
}

/// Locks the list; a panic elsewhere leaves it valid.
fn lock<C>(idle: &Mutex<Stack<C>>) -> MutexGuard<'_, Stack<C>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn permits_are_given_in_the_order_of_the_calls() {
        let pool: Pool<u8> = Pool::new(1, LONG);
        let permit = pool.acquire().await;
        let (mut first, mut second) = (pin!(pool.acquire()), pin!(pool.acquire()));
        assert!(poll_once(first.as_mut()).is_pending());
        assert!(poll_once(second.as_mut()).is_pending());
        permit.put_back(1);
        // Neither the latest call nor the second one overtakes the first.
        let mut latest = pin!(pool.acquire());
        assert!(poll_once(latest.as_mut()).is_pending());
        assert!(poll_once(second.as_mut()).is_pending());
        let Poll::Ready(permit) = poll_once(first.as_mut()) else {
            panic!("the first call has the permit");
        };
        assert_eq!(permit.take(), Some(1));
        drop(permit);
        assert!(poll_once(latest.as_mut()).is_pending());
        assert!(poll_once(second.as_mut()).is_ready());
    }

    #[tokio::test]
    async fn dropped_wait_passes_the_permit_on() {
        let pool: Pool<u8> = Pool::new(1, LONG);
        let permit = pool.acquire().await;
        let mut stays = pin!(pool.acquire());
        {
            let mut dropped = pin!(pool.acquire());
            assert!(poll_once(dropped.as_mut()).is_pending());
            assert!(poll_once(stays.as_mut()).is_pending());
            drop(permit);
        }
        assert!(poll_once(stays.as_mut()).is_ready());
    }

    #[tokio::test]
    async fn connection_that_is_not_put_back_is_closed_and_its_permit_free() {
        let pool: Pool<Arc<()>> = Pool::new(1, LONG);
        let connection = Arc::new(());
        pool.acquire().await.put_back(Arc::clone(&connection));
        {
            let permit = pool.acquire().await;
            let _dropped_halfway = permit.take();
        }
        assert_eq!(Arc::strong_count(&connection), 1);
        assert!(pool.acquire().await.take().is_none());
    }

    #[tokio::test]
    async fn connection_used_last_is_reused_first_and_the_idle_one_closed() {
        let pool: Pool<u8> = Pool::new(2, Duration::from_millis(400));
        let (first, second) = (pool.acquire().await, pool.acquire().await);
        first.put_back(1);
        second.put_back(2);
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let permit = pool.acquire().await;
            assert_eq!(permit.take(), Some(2));
            permit.put_back(2);
        }
        let permit = pool.acquire().await;
        assert_eq!((permit.take(), permit.take()), (Some(2), None));
    }
}
