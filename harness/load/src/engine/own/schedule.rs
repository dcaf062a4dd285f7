//! When requests of an open loop are due, and which connections are free for them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// One thread's part of a schedule. Who is late is late by the schedule: nothing that happens moves
/// it.
#[derive(Debug)]
pub(super) struct Schedule {
    begin: Instant,
    interval_secs: f64,
    /// Number of the next request.
    next: u64,
    /// Connections that wait for a request, the longest waiting first.
    free: VecDeque<usize>,
}

impl Schedule {
    /// Of `rate` requests per second by `threads` threads, the part of the thread with this index,
    /// which has so many connections: threads take turns.
    pub(super) fn new(
        begin: Instant,
        rate: f64,
        threads: usize,
        index: usize,
        connections: usize,
    ) -> Self {
        Self {
            begin: begin + Duration::from_secs_f64(index as f64 / rate),
            interval_secs: threads as f64 / rate,
            next: 0,
            free: VecDeque::with_capacity(connections),
        }
    }

    /// A connection is free.
    pub(super) fn put(&mut self, connection: usize) {
        self.free.push_back(connection);
    }

    /// A connection is not free any more.
    pub(super) fn remove(&mut self, connection: usize) {
        self.free.retain(|free| *free != connection);
    }

    /// When the next request is due.
    pub(super) fn due(&self) -> Instant {
        self.begin + Duration::from_secs_f64(self.next as f64 * self.interval_secs)
    }

    /// When to look for a due request again, if a connection is free for it.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        (!self.free.is_empty()).then(|| self.due())
    }

    /// A free connection for the next request, which is taken off the schedule with it.
    pub(super) fn take(&mut self) -> Option<usize> {
        let connection = self.free.pop_front()?;
        self.next += 1;
        Some(connection)
    }

    /// Takes the next request off the schedule, though it was not sent.
    pub(super) fn skip(&mut self) {
        self.next += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_take_turns_and_keep_the_rate_together() {
        let begin = Instant::now();
        let mut parts = [0, 1].map(|index| Schedule::new(begin, 1000.0, 2, index, 1));
        let mut due = Vec::new();
        for _ in 0..3 {
            for part in &mut parts {
                due.push((part.due() - begin).as_micros());
                part.skip();
            }
        }
        assert_eq!(due, [0, 1000, 2000, 3000, 4000, 5000]);
    }

    #[test]
    fn a_request_stays_due_until_a_connection_is_free() {
        let begin = Instant::now();
        let mut schedule = Schedule::new(begin, 10.0, 1, 0, 2);
        assert_eq!((schedule.take(), schedule.wake_at()), (None, None));
        schedule.put(7);
        schedule.put(8);
        assert_eq!(schedule.wake_at(), Some(begin));
        assert_eq!(schedule.take(), Some(7));
        assert_eq!(schedule.due() - begin, Duration::from_millis(100));
        schedule.remove(8);
        assert_eq!(schedule.take(), None);
        assert_eq!(schedule.due() - begin, Duration::from_millis(100));
    }
}
