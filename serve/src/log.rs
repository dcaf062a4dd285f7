//! The log on standard error. Writing to it never blocks: a line that standard error cannot take at once is
//! dropped and counted. The same line is written at most once a second, with the number of its repetitions.
//!
//! The log has no thread of its own: with a second thread the C library takes locks, and every request costs 1
//! to 2 % more instructions.

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use std::panic;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// Longest line in bytes, PIPE_BUF of Linux: a pipe that is ready takes so many at once (pipe(7)).
const LINE_MAX_BYTES: usize = 4096;

/// Interval between two lines that differ in nothing but their time.
const REPEAT_INTERVAL: Duration = Duration::from_secs(1);

/// Different lines within an interval; more are dropped, and counted.
const LINES_MAX: usize = 64;

static LOG: LazyLock<Mutex<Log>> = LazyLock::new(Mutex::default);

/// Wakes [`report_repetitions`].
static REPEATED: Notify = Notify::const_new();

/// Sends the events of `tracing`, and panics, to the log.
pub(crate) fn init() {
    tracing_subscriber::fmt()
        .with_writer(|| Line)
        .with_ansi(io::stderr().is_terminal())
        // The service must survive the reader of its log.
        .log_internal_errors(false)
        .init();
    panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or_default();
        let location = panic.location().map(ToString::to_string);
        tracing::error!(location, "panicked: {message}");
    }));
}

/// Reports repeated lines within two seconds, for ever.
pub(crate) async fn report_repetitions() {
    loop {
        REPEATED.notified().await;
        sleep(REPEAT_INTERVAL).await;
        log().report(REPEAT_INTERVAL);
    }
}

/// Reports everything that is not yet reported, at the end of the process.
pub(crate) fn finish() {
    log().report(Duration::ZERO);
}

/// Writes a line that is not an event.
pub(crate) fn write_line(line: &str) {
    log().write(&format!("{line}\n"));
}

fn log() -> MutexGuard<'static, Log> {
    LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The writer of one event, which is written as a whole.
struct Line;

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        log().record(&String::from_utf8_lossy(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Default)]
struct Log {
    /// Lines of the last interval, without their time.
    recent: HashMap<String, Recent>,
    /// Lines that were not written since the last one that was.
    dropped: u64,
}

/// A line that was written less than an interval ago.
struct Recent {
    written: Instant,
    repetitions: u64,
    /// The last repetition, with its time.
    last: String,
}

impl Log {
    fn record(&mut self, line: &str) {
        self.report(REPEAT_INTERVAL);
        let without_time = line.split_once(' ').map_or(line, |(_, rest)| rest);
        if let Some(recent) = self.recent.get_mut(without_time) {
            recent.repetitions += 1;
            line.clone_into(&mut recent.last);
            REPEATED.notify_one();
        } else if self.recent.len() < LINES_MAX {
            let recent = Recent {
                written: Instant::now(),
                repetitions: 0,
                last: String::new(),
            };
            self.recent.insert(without_time.to_owned(), recent);
            self.write(line);
        } else {
            self.dropped += 1;
        }
    }

    /// Writes the repetitions of lines that were written at least `interval` ago.
    fn report(&mut self, interval: Duration) {
        let mut repeated = Vec::new();
        self.recent.retain(|_, recent| {
            if recent.written.elapsed() < interval {
                return true;
            }
            let is_repeated = recent.repetitions > 0;
            if is_repeated {
                let (line, count) = (recent.last.trim_end(), recent.repetitions);
                repeated.push(format!("{line} repeated={count}\n"));
                recent.repetitions = 0;
                recent.written = Instant::now();
            }
            is_repeated
        });
        for line in repeated {
            self.write(&line);
        }
    }

    fn write(&mut self, line: &str) {
        if self.dropped > 0 {
            let count = self.dropped;
            let note = format!("{count} lines were dropped\n");
            if try_write(&note) {
                self.dropped = 0;
            }
        }
        if !try_write(line) {
            self.dropped += 1;
        }
    }
}

/// Writes as much of `line` as standard error takes at once, and returns true if it takes any. A file is always
/// ready. Another process that fills the same pipe between the two calls can still delay the second one.
fn try_write(line: &str) -> bool {
    let stderr = io::stderr();
    let mut ready = [PollFd::new(&stderr, PollFlags::OUT)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let line = match line.len() > LINE_MAX_BYTES {
        true => &[&line.as_bytes()[..LINE_MAX_BYTES - 1], b"\n"].concat(),
        false => line.as_bytes(),
    };
    matches!(poll(&mut ready, Some(&now)), Ok(1)) && rustix::io::write(&stderr, line).is_ok()
}
