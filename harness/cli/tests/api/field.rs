//! Contenders of a test that are stand-ins, listed in a folder where the harness runs.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::stand_in;

/// Where the harness's temporary files are.
pub(crate) const TMP: &str = "tmp";

pub(crate) struct Field {
    folder: TempDir,
}

impl Field {
    /// Of these roles, each a contender of that name, which writes its process id.
    pub(crate) fn of(roles: &[&str]) -> Self {
        Self::of_kind("", roles)
    }

    /// Of these roles, each an upstream of that name.
    pub(crate) fn of_upstreams(roles: &[&str]) -> Self {
        Self::of_kind("kind = \"upstream\"\n", roles)
    }

    fn of_kind(kind: &str, roles: &[&str]) -> Self {
        let field = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(field.path(TMP)).unwrap();
        fs::write(field.path("contenders.toml"), "").unwrap();
        for role in roles {
            field.list(kind, role, &stand_in::script(role));
        }
        field
    }

    /// One more contender, which starts so and writes its process id.
    pub(crate) fn add(&self, name: &str, command: &str) {
        self.list("", name, command);
    }

    /// A limit, which starts so.
    pub(crate) fn add_limit(&self, command: &str) {
        self.list("kind = \"limit\"\n", "limit", command);
    }

    fn list(&self, kind: &str, name: &str, command: &str) {
        let stanza = format!(
            "[{name}]\n{kind}language = \"Rust\"\nframework = \"none\"\n\
             command = '''echo $$ > '{}'; {command}'''\n",
            self.path(name).display(),
        );
        let list = OpenOptions::new()
            .append(true)
            .open(self.path("contenders.toml"));
        list.unwrap().write_all(stanza.as_bytes()).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The harness in this field's folder.
    pub(crate) fn harness(&self, arguments: &[&str]) -> Command {
        self.harness_after(":", arguments)
    }

    /// As [`Field::harness`], in a shell that has done this before.
    pub(crate) fn harness_after(&self, first: &str, arguments: &[&str]) -> Command {
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", &format!(r#"{first}; exec "$0" "$@""#)])
            .arg(env!("CARGO_BIN_EXE_harness"))
            .args(arguments)
            .current_dir(self.folder.path())
            // No other test's harness is another harness for this one.
            .env("TMPDIR", self.path(TMP))
            // What every process sees that the harness starts.
            .env("PATH", format!("{path}:{}", self.folder.path().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Processes that a harness of this field is or has started, whatever became of it.
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

    /// Process id of a contender that was started, of the last one.
    pub(crate) fn pid(&self, role: &str) -> Option<i32> {
        let pid = fs::read_to_string(self.path(role)).ok()?;
        pid.trim().parse().ok()
    }
}
