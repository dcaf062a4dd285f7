//! The bound of a contender's log: its beginning is cut off, so that it does not fill the disk. The
//! contender writes to the file itself and never waits.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};

/// Most bytes of a log on the disk, in addition to those written between two checks.
const MAX_BYTES: u64 = 32 * 1024 * 1024;

/// Bytes at its end that stay when it is cut.
const KEPT_BYTES: u64 = 64 * 1024;

/// Time between two checks: 50 MB at a gigabyte per second.
const INTERVAL: Duration = Duration::from_millis(50);

/// First line of a log that was cut.
const CUT: &[u8] = b"... what came before was cut off by the harness\n";

/// Unit of `st_blocks` (inode(7)).
const BLOCK_BYTES: u64 = 512;

/// Keeps a log short until it is dropped.
#[derive(Debug)]
pub(super) struct Bound {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Bound {
    /// Bounds this log, which exists and is only appended to.
    ///
    /// # Errors
    /// It cannot be opened, or the system gives no thread.
    pub(super) fn of(path: &Path) -> Result<Self> {
        let log = OpenOptions::new().read(true).append(true).open(path);
        let mut log = log.with_context(|| format!("opening {}", path.display()))?;
        let (stop, stopped) = mpsc::channel();
        let look = move || {
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                // A full disk has room again once the log is empty.
                let _ = cut(&mut log, MAX_BYTES);
            }
        };
        let thread = thread::Builder::new().name("log".to_owned()).spawn(look);
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread.context("starting a thread for the contender's log")?),
        })
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Cuts a log that takes more than `max_bytes`, except its end. Concurrent writes are lost.
fn cut(log: &mut File, max_bytes: u64) -> io::Result<()> {
    let found = log.metadata()?;
    // Not its length: a contender that opens its standard error again does not append, and leaves a hole.
    if found.blocks() * BLOCK_BYTES <= max_bytes {
        return Ok(());
    }
    log.seek(SeekFrom::Start(found.len().saturating_sub(KEPT_BYTES)))?;
    let mut end = Vec::new();
    (&*log).take(KEPT_BYTES).read_to_end(&mut end)?;
    log.set_len(0)?;
    log.write_all(CUT)?;
    log.write_all(&end)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn log_is_cut_to_its_end_and_appended_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let open = || {
            OpenOptions::new()
                .create(true)
                .read(true)
                .append(true)
                .open(&path)
        };
        let (mut contender, mut harness) = (open().unwrap(), open().unwrap());
        contender.write_all(&vec![b'x'; 300_000]).unwrap();
        contender.write_all(b"last words\n").unwrap();
        contender.sync_all().unwrap();
        cut(&mut harness, 1_000_000).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 300_011);
        cut(&mut harness, 100_000).unwrap();
        contender.write_all(b"and more\n").unwrap();
        let text = fs::read(&path).unwrap();
        assert!(text.starts_with(CUT) && text.ends_with(b"xlast words\nand more\n"));
        assert!(text.len() < 70_000, "{}", text.len());
    }
}
