//! The times at which the requests of an open loop are due.

use std::time::{Duration, Instant};

/// One thread's share of the arrivals. A late request does not move those after it.
#[derive(Debug)]
pub(super) struct Arrivals {
    begin: Instant,
    interval_secs: f64,
    /// Number of the next request.
    next: u64,
}

impl Arrivals {
    /// Creates the share of thread `index` of `threads` in `rate` requests per second: threads take
    /// turns.
    pub(super) fn new(begin: Instant, rate: f64, threads: usize, index: usize) -> Self {
        Self {
            begin: begin + Duration::from_secs_f64(index as f64 / rate),
            interval_secs: threads as f64 / rate,
            next: 0,
        }
    }

    /// Returns the time at which the next request is due.
    pub(super) fn due(&self) -> Instant {
        self.begin + Duration::from_secs_f64(self.next as f64 * self.interval_secs)
    }

    /// Goes on to the request after the next.
    pub(super) fn advance(&mut self) {
        self.next += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_take_turns_and_keep_the_rate_together() {
        let begin = Instant::now();
        let mut shares = [0, 1].map(|index| Arrivals::new(begin, 1000.0, 2, index));
        let mut due = Vec::new();
        for _ in 0..3 {
            for share in &mut shares {
                due.push((share.due() - begin).as_micros());
                share.advance();
            }
        }
        assert_eq!(due, [0, 1000, 2000, 3000, 4000, 5000]);
    }
}
