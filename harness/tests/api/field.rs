//! Contenders of a test that are stand-ins, listed in a folder where the harness runs.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::stand_in;

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
        let stanzas = roles.iter().map(|role| {
            format!(
                "[{role}]\n{kind}language = \"Rust\"\nframework = \"none\"\n\
                 command = '''echo $$ > '{}'; {}'''\n",
                field.path(role).display(),
                stand_in::script(role)
            )
        });
        let stanzas: String = stanzas.collect();
        fs::write(field.path("contenders.toml"), stanzas).unwrap();
        field
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The harness in this field's folder.
    pub(crate) fn harness(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
        command
            .current_dir(self.folder.path())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Process id of a contender that was started, of the last one.
    pub(crate) fn pid(&self, role: &str) -> Option<i32> {
        let pid = fs::read_to_string(self.path(role)).ok()?;
        pid.trim().parse().ok()
    }
}
