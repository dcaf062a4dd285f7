//! A shell that outlives this process for a moment, and ends what it has started if it could not
//! do so itself, in whatever way it ended.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result};

/// In the environment of all that may leave its process group: the folder that is watched over.
pub const MARK: &str = "SUITE_CONTENDER";

/// Reads what to end (or nothing) line by line, as `kill` takes it. When this process is gone, ends
/// what came last, and whoever has left its group but still has the mark; then removes the folder.
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

/// The shell, in a process group of its own.
#[derive(Debug)]
pub struct Watchdog {
    shell: Child,
    /// Its end is the end of this process; taken only to end the watchdog.
    orders: Option<ChildStdin>,
}

impl Watchdog {
    /// Watches over a folder, which is removed at the end. What has [`MARK`] with this folder in its
    /// environment is ended before.
    ///
    /// # Errors
    /// No shell can be started.
    pub fn start(folder: &Path) -> Result<Self> {
        Self::start_script(folder.as_os_str())
    }

    /// Watches over processes alone.
    ///
    /// # Errors
    /// As [`Watchdog::start`].
    pub fn of_processes() -> Result<Self> {
        Self::start_script(OsStr::new(""))
    }

    fn start_script(folder: &OsStr) -> Result<Self> {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT])
            .arg(folder)
            .arg(MARK)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .context("starting the watchdog")?;
        let orders = shell.stdin.take();
        Ok(Self { shell, orders })
    }

    /// Ends this process when this one is gone, and only this one.
    pub fn watch(&mut self, pid: u32) {
        self.order(&pid.to_string());
    }

    /// Ends this process group when this process is gone.
    pub fn watch_group(&mut self, pid: u32) {
        self.order(&format!("-{pid}"));
    }

    /// Nothing is left to end.
    pub fn rest(&mut self) {
        self.order("");
    }

    fn order(&mut self, target: &str) {
        if let Some(orders) = &mut self.orders
            && let Err(error) = writeln!(orders, "{target}")
        {
            eprintln!("harness: the watchdog is gone: {error}");
        }
    }
}

impl Drop for Watchdog {
    /// Lets it clean up, and waits until it has.
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.shell.wait();
    }
}
