//! A shell that outlives the harness for a moment and cleans up after it, however it ended.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};

/// A variable in the environment of processes that may leave their process group: its value is the
/// watched folder.
pub(crate) const MARK: &str = "SUITE_CONTENDER";

/// Reads the process group to end, or an empty line, line by line. At the end of its input it ends the
/// group of the last line, kills every process that has the mark, and removes the folder.
const SCRIPT: &str = r#"
while read -r line; do target=$line; done
if [ -n "$target" ]; then
    kill -s INT -- "$target"
    tries=0
    while kill -s 0 -- "$target" && [ "$tries" -lt 100 ]; do
        tries=$((tries + 1))
        sleep 0.05
    done
    kill -s KILL -- "$target"
fi 2>/dev/null
[ -n "$0" ] || exit 0
tries=0
while [ "$tries" -lt 20 ]; do
    tries=$((tries + 1))
    found=$(grep -lsF "$1=$0" /proc/[0-9]*/environ)
    [ -n "$found" ] || break
    for file in $found; do
        pid=${file#/proc/}
        kill -s KILL "${pid%/environ}"
    done
    sleep 0.05
done 2>/dev/null
rm -rf "$0"
"#;

/// The shell, in a process group of its own. It cleans up when this is dropped.
#[derive(Debug)]
pub struct Watchdog {
    shell: Child,
    /// Its end tells the shell that the harness has ended.
    orders: Mutex<Option<ChildStdin>>,
}

impl Watchdog {
    /// Starts it. A `folder` is removed at the end; processes with [`MARK`] and this folder in their
    /// environment are killed before.
    ///
    /// # Errors
    /// No shell can be started.
    pub fn new(folder: Option<&Path>) -> Result<Arc<Self>> {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT])
            .arg(folder.map_or(OsStr::new(""), Path::as_os_str))
            .arg(MARK)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .context("starting the watchdog")?;
        let orders = Mutex::new(shell.stdin.take());
        Ok(Arc::new(Self { shell, orders }))
    }

    /// Makes it end this process group after the harness.
    pub fn watch(&self, group: u32) {
        self.send(&format!("-{group}"));
    }

    /// Leaves no process group to end.
    pub fn disarm(&self) {
        self.send("");
    }

    fn send(&self, target: &str) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(orders) = &mut *orders
            && let Err(error) = writeln!(orders, "{target}")
        {
            eprintln!("harness: the watchdog has ended: {error}");
        }
    }

    pub(super) fn close(&self) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        *orders = None;
    }
}

impl Drop for Watchdog {
    /// Waits until the shell has cleaned up.
    fn drop(&mut self) {
        self.close();
        let _ = self.shell.wait();
    }
}
