//! A suite of a test's own: the executables in one temporary folder, the state beside them.

use std::fs;
use std::iter;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::stand_in;

/// Longer than anything that a test waits for takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a command said and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A folder with the harness and its two services, with ports and a state of their own. When it is
/// dropped, all is stopped and removed.
pub(crate) struct Suite {
    folder: TempDir,
    pub(crate) target_port: u16,
    pub(crate) upstream_port: u16,
}

impl Suite {
    /// With services that work.
    pub(crate) fn new() -> Self {
        let suite = Self {
            folder: tempfile::tempdir().unwrap(),
            target_port: free_port(),
            upstream_port: free_port(),
        };
        let harness = Path::new(env!("CARGO_BIN_EXE_harness"));
        let own = suite.folder.path().join("harness");
        if fs::hard_link(harness, &own).is_err() {
            fs::copy(harness, &own).unwrap();
        }
        suite.install("upstream", &stand_in::script("upstream"));
        suite.install("target-axum", &stand_in::script("target"));
        suite
    }

    /// Lets other users into the folder: then the cluster lives in the state folder, for root too.
    pub(crate) fn opened(self) -> Self {
        fs::set_permissions(self.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// Puts a shell script in a service's place. Another process writes it: what this one has open
    /// for writing while another thread forks cannot be run.
    pub(crate) fn install(&self, name: &str, script: &str) {
        let write = r#"printf '#!/bin/sh\n%s\n' "$1" >"$0" && chmod +x "$0""#;
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", write]).arg(self.path(name)).arg(script);
        assert!(shell.status().unwrap().success());
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// The harness with these arguments, in this suite's environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.path("harness"));
        command
            .args(arguments)
            .env("SUITE_STATE_DIR", self.state())
            .env("TARGET_PORT", self.target_port.to_string())
            .env("UPSTREAM_PORT", self.upstream_port.to_string())
            .env_remove("WORKERS")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        said(self.command(arguments).output().unwrap())
    }

    /// Runs a command that must succeed and gives its standard output.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments);
        assert_eq!(said.code, Some(0), "{arguments:?}: {said:?}");
        said.out
    }

    /// Process id of a service that runs, as `status` shows it.
    pub(crate) fn pid(&self, name: &str) -> Option<i32> {
        let status = self.run(&["status"]).out;
        let line = status
            .lines()
            .find(|line| line.trim_start().starts_with(name))
            .unwrap();
        let mut words = line.split_whitespace().skip(1);
        match words.next() {
            Some("running") => words.next().unwrap().parse().ok(),
            _ => None,
        }
    }

    pub(crate) fn pids(&self) -> [Option<i32>; 3] {
        ["postgres", "upstream", "target"].map(|name| self.pid(name))
    }
}

impl Drop for Suite {
    fn drop(&mut self) {
        let said = self.run(&["down", "--purge"]);
        if !std::thread::panicking() {
            assert_eq!(said.code, Some(0), "{said:?}");
            assert!(!self.state().exists());
        }
    }
}

pub(crate) fn said(output: Output) -> Said {
    Said {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A port that nobody listens on, below those that the kernel gives to who connects: no connection of
/// another test takes it before it is used.
pub(crate) fn free_port() -> u16 {
    iter::repeat_with(|| fastrand::u16(10_000..32_768))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .unwrap()
}

/// Whether a process is there and not a zombie.
pub(crate) fn is_alive(pid: i32) -> bool {
    let ps = Command::new("ps")
        .args(["-o", "stat=", "-p", &pid.to_string()])
        .output()
        .unwrap();
    let state = String::from_utf8(ps.stdout).unwrap();
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}

pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(
            begun.elapsed() < PATIENCE,
            "not within {PATIENCE:?}: {what}"
        );
        sleep(Duration::from_millis(20));
    }
}
