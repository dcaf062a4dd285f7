//! What the contender's processes hold: memory, descriptors, threads.

use std::time::{Duration, Instant};

use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use load::party::{Party, all_processes};

/// Time between two looks.
const INTERVAL: Duration = Duration::from_millis(100);

/// Looks between two searches for processes that came and went.
const LOOKS_PER_SEARCH: u32 = 5;

/// Most that was held, of each on its own.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Held {
    /// Resident memory; shared pages count for each process.
    pub rss_bytes: u64,
    /// Open descriptors.
    pub descriptors: u64,
    /// Threads.
    pub threads: u64,
}

/// Looks again and again.
#[derive(Debug)]
pub(super) struct Census {
    party: Party,
    looks: u32,
    last: Option<Instant>,
    most: Held,
}

impl Census {
    /// Of this process and all that belong to it.
    pub(super) fn of(root: Pid) -> Self {
        Self {
            party: Party::of_process(root),
            looks: 0,
            last: None,
            most: Held::default(),
        }
    }

    /// The contender is another process now; what was seen so far stays.
    pub(super) fn move_to(&mut self, root: Pid) {
        self.party = Party::of_process(root);
        (self.looks, self.last) = (0, None);
    }

    /// Looks, if it is time to.
    pub(super) fn look(&mut self) {
        let now = Instant::now();
        if self.last.is_some_and(|last| now < last + INTERVAL) {
            return;
        }
        self.last = Some(now);
        let held = self.held();
        self.most.rss_bytes = self.most.rss_bytes.max(held.rss_bytes);
        self.most.descriptors = self.most.descriptors.max(held.descriptors);
        self.most.threads = self.most.threads.max(held.threads);
    }

    /// What is held now.
    pub(super) fn held(&mut self) -> Held {
        if self.looks.is_multiple_of(LOOKS_PER_SEARCH) {
            self.party.look_around(&all_processes());
        }
        self.looks += 1;
        let (descriptors, threads) = self.party.descriptors_and_threads();
        Held {
            rss_bytes: self.party.rss_bytes(),
            descriptors,
            threads,
        }
    }

    /// The most that was seen since this was asked last.
    pub(super) fn take(&mut self) -> Held {
        std::mem::take(&mut self.most)
    }

    /// The contender's processes now.
    pub(super) fn processes(&mut self) -> Vec<Pid> {
        self.party.look_around(&all_processes());
        self.party.processes()
    }
}
