//! A monitor of the resources of the contender's processes: memory, descriptors, threads.

use std::time::{Duration, Instant};

use load::process_group::{ProcessGroup, all_processes};
use rustix::process::Pid;
use serde::{Deserialize, Serialize};

/// Time between two samples.
const INTERVAL: Duration = Duration::from_millis(100);

/// Samples between two searches for new processes.
const SAMPLES_PER_SEARCH: u32 = 5;

/// Resources of all processes together; as a peak, the peak of each.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Usage {
    /// Resident memory; shared pages count for each process.
    pub rss_bytes: u64,
    /// Open file descriptors.
    pub descriptors: u64,
    pub threads: u64,
}

/// Samples a process and its descendants.
#[derive(Debug)]
pub(crate) struct ResourceMonitor {
    group: ProcessGroup,
    samples: u32,
    last: Option<Instant>,
    peak: Usage,
}

impl ResourceMonitor {
    /// Creates a monitor of this process and its descendants.
    pub(crate) fn new(root: Pid) -> Self {
        Self {
            group: ProcessGroup::of_process(root),
            samples: 0,
            last: None,
            peak: Usage::default(),
        }
    }

    /// Follows another process from now on; the peak so far is kept.
    pub(crate) fn follow(&mut self, root: Pid) {
        self.group = ProcessGroup::of_process(root);
        (self.samples, self.last) = (0, None);
    }

    /// Takes a sample, if the interval has passed.
    pub(crate) fn sample(&mut self) {
        let now = Instant::now();
        if self.last.is_some_and(|last| now < last + INTERVAL) {
            return;
        }
        self.last = Some(now);
        let usage = self.usage();
        self.peak.rss_bytes = self.peak.rss_bytes.max(usage.rss_bytes);
        self.peak.descriptors = self.peak.descriptors.max(usage.descriptors);
        self.peak.threads = self.peak.threads.max(usage.threads);
    }

    /// Returns the current usage.
    pub(crate) fn usage(&mut self) -> Usage {
        if self.samples.is_multiple_of(SAMPLES_PER_SEARCH) {
            self.group.refresh(&all_processes());
        }
        self.samples += 1;
        let (descriptors, threads) = self.group.descriptors_and_threads();
        Usage {
            rss_bytes: self.group.rss_bytes(),
            descriptors,
            threads,
        }
    }

    /// Returns the peak since the last call.
    pub(crate) fn take_peak(&mut self) -> Usage {
        std::mem::take(&mut self.peak)
    }

    /// Returns the contender's processes.
    pub(crate) fn processes(&mut self) -> Vec<Pid> {
        self.group.refresh(&all_processes());
        self.group.processes()
    }
}
