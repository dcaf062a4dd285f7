//! One worker's connections to one peer. What holds:
//!
//! - Bounded: open connections, idle and in use, are never more than there are places.
//! - In order: places are given in the order of asking, and only who has one opens a connection.
//! - Owned: who uses a connection owns it. It comes back by [`Place::put_back`] alone; a call that
//!   fails, or whose future is dropped halfway, takes its connection with it.
//! - Warm: the connection used last is used next, and what is idle for long is dropped.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::interval;

pub(super) struct Pool<C> {
    places: Semaphore,
    idle: Arc<Mutex<Stack<C>>>,
}

/// Idle connections, and since when; the latest is the last.
type Stack<C> = Vec<(Instant, C)>;

impl<C: Send + 'static> Pool<C> {
    /// At most so many connections, none of them idle for more than half as long again as
    /// `idle_max`. To be called within the worker's runtime.
    pub(super) fn new(places: usize, idle_max: Duration) -> Self {
        let idle = Arc::new(Mutex::new(Vec::with_capacity(places)));
        tokio::spawn(drop_idle(Arc::downgrade(&idle), idle_max));
        Self {
            places: Semaphore::new(places),
            idle,
        }
    }

    /// A place for one connection, as soon as it is this call's turn.
    pub(super) async fn place(&self) -> Place<'_, C> {
        let permit = self.places.acquire().await;
        Place {
            idle: &self.idle,
            _permit: permit.expect("the semaphore is never closed"),
        }
    }
}

/// The right to have one connection.
pub(super) struct Place<'a, C> {
    idle: &'a Mutex<Stack<C>>,
    _permit: SemaphorePermit<'a>,
}

impl<C> Place<'_, C> {
    /// The idle connection used last. A caller that gets none may open one, and one that gets a
    /// broken one may drop it and take another.
    pub(super) fn take(&self) -> Option<C> {
        lock(self.idle).pop().map(|(_, connection)| connection)
    }

    /// Keeps a connection for the next call: one on which nothing is under way any more.
    pub(super) fn put_back(self, connection: C) {
        lock(self.idle).push((Instant::now(), connection));
    }
}

/// Drops connections that were idle for too long, until the pool is gone.
async fn drop_idle<C>(idle: Weak<Mutex<Stack<C>>>, idle_max: Duration) {
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

/// A panic elsewhere does not spoil a list of connections.
fn lock<C>(idle: &Mutex<Stack<C>>) -> MutexGuard<'_, Stack<C>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// What the future has when it is polled once, outside any schedule.
    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn there_are_never_more_places_than_the_pool_has() {
        let pool: Pool<u8> = Pool::new(2, LONG);
        let (first, second) = (pool.place().await, pool.place().await);
        let mut third = pin!(pool.place());
        assert!(poll(third.as_mut()).is_pending());
        second.put_back(2);
        assert_eq!(third.await.take(), Some(2));
        drop(first);
    }

    #[tokio::test]
    async fn who_waits_is_served_in_the_order_of_asking() {
        let pool: Pool<u8> = Pool::new(1, LONG);
        let place = pool.place().await;
        let (mut first, mut second) = (pin!(pool.place()), pin!(pool.place()));
        assert!(poll(first.as_mut()).is_pending());
        assert!(poll(second.as_mut()).is_pending());
        drop(place);
        // Neither who asks now nor who asked later goes first.
        let mut late = pin!(pool.place());
        assert!(poll(late.as_mut()).is_pending());
        assert!(poll(second.as_mut()).is_pending());
        let Poll::Ready(place) = poll(first.as_mut()) else {
            panic!("the first in the queue has the place");
        };
        drop(place);
        assert!(poll(late.as_mut()).is_pending());
        assert!(poll(second.as_mut()).is_ready());
    }

    #[tokio::test]
    async fn who_gives_up_waiting_holds_up_nobody() {
        let pool: Pool<u8> = Pool::new(1, LONG);
        let place = pool.place().await;
        let mut stays = pin!(pool.place());
        {
            let mut leaves = pin!(pool.place());
            assert!(poll(leaves.as_mut()).is_pending());
            assert!(poll(stays.as_mut()).is_pending());
            drop(place);
        }
        assert!(poll(stays.as_mut()).is_ready());
    }

    #[tokio::test]
    async fn a_connection_that_is_not_put_back_is_gone_and_its_place_is_free() {
        let pool: Pool<Arc<()>> = Pool::new(1, LONG);
        let connection = Arc::new(());
        pool.place().await.put_back(Arc::clone(&connection));
        {
            let place = pool.place().await;
            let _dropped_halfway = place.take();
        }
        assert_eq!(Arc::strong_count(&connection), 1);
        assert!(pool.place().await.take().is_none());
    }

    #[tokio::test]
    async fn the_connection_used_last_is_used_next() {
        let pool: Pool<u8> = Pool::new(2, LONG);
        let (first, second) = (pool.place().await, pool.place().await);
        first.put_back(1);
        second.put_back(2);
        assert_eq!(pool.place().await.take(), Some(2));
    }

    #[tokio::test]
    async fn what_is_idle_for_long_is_dropped_and_what_is_used_stays() {
        let pool: Pool<u8> = Pool::new(2, Duration::from_millis(400));
        let (first, second) = (pool.place().await, pool.place().await);
        first.put_back(1);
        second.put_back(2);
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let place = pool.place().await;
            assert_eq!(place.take(), Some(2));
            place.put_back(2);
        }
        let place = pool.place().await;
        assert_eq!((place.take(), place.take()), (Some(2), None));
    }
}
