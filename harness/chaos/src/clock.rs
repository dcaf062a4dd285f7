//! A contender's clock: libfaketime, loaded before its C library, adds to the time of day what a file
//! says, which may change at any time. The clocks that never jump (`CLOCK_MONOTONIC`) are left alone,
//! as the kernel leaves them alone when somebody sets the time.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::inject::{CLOSE, Injected};
use super::stage::Stage;
use testbed::port::lasting_port;
use testbed::raw::Connection;

/// Where distributions put it: in a folder of its own, below the one of the machine's libraries.
const LIBRARY: [&str; 2] = [
    "/usr/lib*/faketime/libfaketimeMT.so.1",
    "/usr/lib/*/faketime/libfaketimeMT.so.1",
];

/// Time for the contender to answer when it is asked for the time.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a contender's clock is ahead of the right time, one after the other, in seconds.
const JUMPS_SECS: [i64; 4] = [3600, -3600, 86_400, 0];

/// Time for a contender's answers to show that its clock has jumped: some write their `Date` anew
/// once a second.
const SHOWN_WITHIN: Duration = Duration::from_secs(3);

/// The clock of contenders that are started with its environment.
struct Clock {
    library: PathBuf,
    folder: TempDir,
}

/// The file of libfaketime, where it is installed.
pub(super) fn library() -> Option<PathBuf> {
    let mut found = LIBRARY
        .into_iter()
        .filter_map(|pattern| glob::glob(pattern).ok())
        .flatten();
    found.find_map(Result::ok)
}

impl Clock {
    /// One that is right so far.
    ///
    /// # Errors
    /// libfaketime is not installed, or there is no room for a file.
    fn new() -> Result<Self> {
        let clock = Self {
            library: library().context("libfaketime is not installed")?,
            folder: TempDir::new().context("making a folder for the clock")?,
        };
        clock.jump_to(0)?;
        Ok(clock)
    }

    /// The variables that make a process follow it.
    fn environment(&self) -> [(String, String); 4] {
        [
            ("LD_PRELOAD", self.library.to_string_lossy().into_owned()),
            (
                "FAKETIME_TIMESTAMP_FILE",
                self.offset().to_string_lossy().into_owned(),
            ),
            // The file is read whenever somebody asks what time it is.
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
    }

    /// From now on it is so many seconds ahead of the right time.
    ///
    /// # Errors
    /// The file cannot be written.
    fn jump_to(&self, ahead_secs: i64) -> Result<()> {
        // In one go: whoever reads it finds a whole number.
        let next = self.folder.path().join("next");
        fs::write(&next, format!("{ahead_secs:+}"))
            .and_then(|()| fs::rename(&next, self.offset()))
            .context("setting the clock")
    }

    fn offset(&self) -> PathBuf {
        self.folder.path().join("offset")
    }
}

/// Has the clock jump of a second contender, which is started for it and takes over meanwhile.
///
/// # Errors
/// The process was asked to end, or the second contender does not start.
pub(super) fn jump(stage: &mut Stage<'_>) -> Result<Injected> {
    let process = stage.scene.contender.as_ref().context("no process")?;
    let clock = Clock::new()?;
    let mut contender = process.contender.clone();
    contender.environment.extend(clock.environment());
    let (surroundings, first) = (process.surroundings, stage.scene.load.address());
    let second = contender.start_on(lasting_port()?, false, surroundings, stage.scene.interrupt)?;
    let [ahead, ..] = JUMPS_SECS;
    clock.jump_to(ahead)?;
    let is_shown = stage.wait(SHOWN_WITHIN, |_| {
        let shown = ahead_secs(second.address)?;
        Ok(shown.is_some_and(|shown| shown > ahead as f64 / 2.0))
    })?;
    if !is_shown {
        return Ok(Injected::Cannot(
            "its answers do not show another time: its program is static, or does not ask the C library",
        ));
    }
    clock.jump_to(0)?;
    stage.scene.load.leave_for(second.address);
    for secs in JUMPS_SECS {
        clock.jump_to(secs)?;
        stage.pause(stage.scene.duration / JUMPS_SECS.len() as u32)?;
    }
    stage.scene.load.leave_for(first);
    // Its end is no part of the fault: nothing is asked of it any more.
    stage.pause(CLOSE)?;
    Ok(Injected::Ended(Vec::new()))
}

/// How many seconds the time in the contender's answers (`Date`) is ahead of ours; none if it says
/// none.
///
/// # Errors
/// It does not answer.
fn ahead_secs(address: SocketAddr) -> Result<Option<f64>> {
    let request = format!("GET /info HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let answer = Connection::open_within(address, PATIENCE)?.ask(request)?;
    let date = answer
        .header("date")
        .and_then(|date| httpdate::parse_http_date(date).ok());
    Ok(date.map(|date| seconds(date) - seconds(SystemTime::now())))
}

fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}
