//! Gives freed memory back to the system. glibc keeps that of a peak for the next one, and a container's limit
//! counts it.

use std::time::Duration;

/// Interval at which [`trim`] is called.
pub(crate) const TRIM_INTERVAL: Duration = Duration::from_secs(10);

/// Returns the free pages of the heap to the system: 150 MiB take less than 10 ms.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "no crate wraps this function of the C library")]
pub(crate) fn trim() {
    // SAFETY: the declaration is that of <malloc.h>. The function has no precondition.
    unsafe extern "C" {
        safe fn malloc_trim(kept_bytes: usize) -> std::ffi::c_int;
    }
    malloc_trim(0);
}

/// Other C libraries have no such function.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn trim() {}
