//! A folder in which a test runs the harness: with its services, its contenders, ports and state.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::iter;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::stand_in::script;

/// Longer than any wait of a test takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(60);

/// Folder of the harness's temporary files.
pub(crate) const TMP: &str = "tmp";

/// The output of a command.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// The folder. When it is dropped, the services are stopped.
pub(crate) struct Sandbox {
    folder: TempDir,
    pub(crate) target_port: u16,
    pub(crate) upstream_port: u16,
}

impl Sandbox {
    /// Makes a sandbox with contenders of these roles.
    pub(crate) fn new(roles: &[&str]) -> Self {
        let sandbox = Self {
            folder: tempfile::tempdir().unwrap(),
            target_port: free_port(),
            upstream_port: free_port(),
        };
        fs::create_dir(sandbox.path(TMP)).unwrap();
        fs::write(sandbox.path("contenders.toml"), "").unwrap();
        for role in roles {
            sandbox.add(role, &script(role), "");
        }
        sandbox
    }

    /// Makes a sandbox for `up`, with services beside the harness.
    pub(crate) fn suite() -> Self {
        let sandbox = Self::new(&[]);
        sandbox.install("upstream", &script("upstream"));
        sandbox.install("target-axum", &script("target"));
        sandbox
    }

    /// Lets other users enter the folder: then the cluster is in the state folder, for root too.
    pub(crate) fn opened(self) -> Self {
        fs::set_permissions(self.folder.path(), Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// Installs a shell script as a program. Another process writes it: a file that this one has open
    /// for writing while another thread forks cannot be executed.
    pub(crate) fn install(&self, name: &str, script: &str) {
        let write = r#"printf '#!/bin/sh\n%s\n' "$1" >"$0" && chmod +x "$0""#;
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", write]).arg(self.path(name)).arg(script);
        assert!(shell.status().unwrap().success());
    }

    /// Adds a contender definition with more lines. The contender writes its process id into a file
    /// of its name.
    pub(crate) fn add(&self, name: &str, command: &str, more: &str) {
        let pid_file = self.path(name);
        let definition = format!(
            "[{name}]\nlanguage = \"L\"\nframework = \"F\"\n\
             command = '''echo $$ > '{}'; {command}'''\n{more}\n",
            pid_file.display(),
        );
        let mut file = OpenOptions::new();
        let file = file.append(true).open(self.path("contenders.toml"));
        file.unwrap().write_all(definition.as_bytes()).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// Returns the harness with these arguments.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.command_after(":", arguments)
    }

    /// Returns the harness, started by a shell that executes `first` before.
    pub(crate) fn command_after(&self, first: &str, arguments: &[&str]) -> Command {
        let harness = self.path("harness");
        let built = Path::new(env!("CARGO_BIN_EXE_harness"));
        if !harness.exists() && fs::hard_link(built, &harness).is_err() {
            fs::copy(built, &harness).unwrap();
        }
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", &format!(r#"{first}; exec "$0" "$@""#)])
            .arg(harness)
            .args(arguments)
            .current_dir(self.folder.path())
            .env("SUITE_STATE_DIR", self.state())
            .env("TARGET_PORT", self.target_port.to_string())
            .env("UPSTREAM_PORT", self.upstream_port.to_string())
            // The CPU locks are there: tests do not wait for each other.
            .env("TMPDIR", self.path(TMP))
            // The mark by which `running` finds all processes.
            .env("PATH", format!("{path}:{}", self.folder.path().display()))
            .env_remove("WORKERS")
            .env_remove("JWT_SECRET")
            .env_remove("UPSTREAM_API_KEY")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        outcome(self.command(arguments).output().unwrap())
    }

    /// Runs a command that must end with this exit code.
    pub(crate) fn run_to(&self, code: i32, arguments: &[&str]) -> Outcome {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
        ended
    }

    /// Lists the processes that a harness of this sandbox is or has started.
    pub(crate) fn running(&self) -> Vec<String> {
        let mark = self.folder.path().as_os_str().as_bytes();
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let ours = processes.filter_map(|process| {
            let environment = fs::read(process.path().join("environ")).ok()?;
            let is_ours = environment.windows(mark.len()).any(|part| part == mark);
            let line = fs::read(process.path().join("cmdline")).ok()?;
            is_ours.then(|| String::from_utf8_lossy(&line).replace('\0', " "))
        });
        ours.collect()
    }

    /// Fails unless all processes of the sandbox end.
    pub(crate) fn assert_nothing_runs(&self) {
        let mut running = Vec::new();
        wait_until("every process has ended", || {
            running = self.running();
            running.is_empty()
        });
    }

    /// Returns the process id of a contender that was started.
    pub(crate) fn pid(&self, name: &str) -> Option<i32> {
        let pid = fs::read_to_string(self.path(name)).ok()?;
        pid.trim().parse().ok()
    }

    /// Returns the process ids of Postgres, the upstream and the target, as `status` shows them.
    pub(crate) fn service_pids(&self) -> [Option<i32>; 3] {
        let status = self.run(&["status"]).out;
        ["postgres", "upstream", "target"].map(|name| {
            let mut lines = status.lines().map(str::split_whitespace);
            let mut words = lines.find(|words| words.clone().next() == Some(name))?;
            words.nth(2)?.parse().ok()
        })
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if self.state().exists() {
            let down = self.run(&["down", "--purge"]);
            assert!(std::thread::panicking() || down.code == Some(0), "{down:?}");
        }
    }
}

pub(crate) fn outcome(output: Output) -> Outcome {
    Outcome {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Sends a signal to a harness, and waits until it ends.
pub(crate) fn end_by(signal: Signal, harness: Child) -> Outcome {
    kill_process(Pid::from_child(&harness), signal).unwrap();
    outcome(harness.wait_with_output().unwrap())
}

/// Returns a free port below the ephemeral ones: no connection of another test takes it.
pub(crate) fn free_port() -> u16 {
    iter::repeat_with(|| fastrand::u16(10_000..32_768))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .unwrap()
}

/// Returns the state of a process, such as `S`, `T` or `Z`; none if there is no such process.
pub(crate) fn process_state(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}

pub(crate) fn is_alive(pid: i32) -> bool {
    process_state(pid).is_some_and(|state| state != 'Z')
}

pub(crate) fn wait_until(event: &str, mut happened: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !happened() {
        assert!(
            begun.elapsed() < PATIENCE,
            "not within {PATIENCE:?}: {event}"
        );
        sleep(Duration::from_millis(20));
    }
}
