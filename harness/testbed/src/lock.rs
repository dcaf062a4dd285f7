//! Locks on files, by `flock`.

use std::fs::{File, TryLockError};
use std::time::Duration;

use anyhow::Result;

use crate::interrupt::Interrupt;

/// Locks a file, and says whether it could within this time. A little of it is needed even where nobody
/// else is at work: a child that is just being started holds its parent's files until it is another
/// program.
///
/// # Errors
/// The system has no such lock for this file.
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
    fn a_lock_that_is_given_back_in_time_is_waited_for() {
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
