//! Locks on files, by `flock`.

use std::fs::{File, TryLockError};
use std::time::Duration;

use anyhow::Result;

use crate::interrupt::Interrupt;

/// Locks a file; false if it is still locked after `time`. Even without another command some time is
/// needed: a child that is being started holds the files of its parent until it executes its program.
///
/// # Errors
/// The file system does not support locks.
pub fn lock_within(time: Duration, file: &File) -> Result<bool> {
    let taken = Interrupt::never().wait(time, || match file.try_lock() {
        Ok(()) => Ok(Some(())),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error.into()),
    });
    Ok(taken?.is_some())
}

#[cfg(test)]
mod tests {
    use std::thread::{scope, sleep};

    use super::*;

    #[test]
    fn lock_that_is_released_in_time_is_taken() {
        let held = tempfile::NamedTempFile::new().unwrap();
        let file = held.reopen().unwrap();
        assert!(lock_within(Duration::ZERO, held.as_file()).unwrap());
        assert!(!lock_within(Duration::ZERO, &file).unwrap());
        scope(|scope| {
            scope.spawn(|| {
                sleep(Duration::from_millis(50));
                held.as_file().unlock().unwrap();
            });
            assert!(lock_within(Duration::from_secs(10), &file).unwrap());
        });
    }
}
