//! Gives the memory of a peak back to the system. glibc keeps what is freed for the next peak, and a container's
//! limit counts it.

use std::time::Duration;

/// Interval at which the connections are compared with their peak.
pub(crate) const INTERVAL: Duration = Duration::from_secs(10);

/// Smallest peak worth a trim: 200 connections hold 3 MiB.
const PEAK_MIN: usize = 200;

/// The most open connections since the last trim.
#[derive(Default)]
pub(crate) struct Peak(usize);

impl Peak {
    /// Notes the number of open connections.
    pub(crate) fn observe(&mut self, open: usize) {
        self.0 = self.0.max(open);
    }

    /// Trims the heap if less than half of the peak's connections are still open.
    pub(crate) fn trim_after(&mut self, open: usize) {
        if self.0 >= PEAK_MIN && open < self.0 / 2 {
            trim();
            self.0 = open;
        }
    }
}

/// Returns the free pages of the heap to the system: 150 MiB take less than 10 ms.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "no crate wraps this function of the C library")]
fn trim() {
    // SAFETY: the declaration is that of <malloc.h>. The function has no precondition.
    unsafe extern "C" {
        safe fn malloc_trim(kept_bytes: usize) -> std::ffi::c_int;
    }
    malloc_trim(0);
}

/// Other C libraries have no such function.
#[cfg(not(target_env = "gnu"))]
fn trim() {}
