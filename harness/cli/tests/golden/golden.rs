//! Runs the binary in a folder of its own and compares what it prints with a golden file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::server;

const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/files");

/// Set to write the golden files instead of comparing with them.
const UPDATE: &str = "UPDATE_GOLDEN";

/// Variables of the caller that the binary keeps: it finds programs and its user's folders by them.
const KEPT: [&str; 2] = ["PATH", "HOME"];

/// The binary, in a temporary folder that holds the two recorded runs.
pub(crate) struct Harness {
    folder: TempDir,
    /// URL of a server that answers `{}` to every request.
    pub(crate) url: String,
}

impl Harness {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for run in ["run", "later"] {
            fs::create_dir(folder.path().join(run)).unwrap();
            let file = format!("{run}/results.jsonl");
            fs::copy(Path::new(FILES).join(&file), folder.path().join(&file)).unwrap();
        }
        let url = format!("http://{}", server::start());
        Self { folder, url }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Reads a file that a command wrote.
    pub(crate) fn read(&self, folder: &str, name: &str) -> String {
        self.normalised(&fs::read_to_string(self.path(folder).join(name)).unwrap())
    }

    /// Runs a command and returns its command line, exit code and output.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        self.run_with(arguments, &[])
    }

    pub(crate) fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> String {
        let kept = KEPT
            .iter()
            .filter_map(|name| Some((name, std::env::var_os(name)?)));
        let output = Command::new(env!("CARGO_BIN_EXE_harness"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .envs(kept)
            .env("SUITE_STATE_DIR", self.path("state"))
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let [out, err] = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap());
        self.normalised(&format!(
            "$ harness {}\n{out}{err}[exit code {}]\n\n",
            arguments.join(" "),
            output.status.code().unwrap()
        ))
    }

    /// Compares a text with a golden file, or writes the file if [`UPDATE`] is set.
    pub(crate) fn compare(&self, name: &str, actual: &str) {
        let path = Path::new(FILES).join(name);
        if std::env::var_os(UPDATE).is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, actual).unwrap();
            return;
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        let mut lines = expected.lines().zip(actual.lines()).enumerate();
        let difference = lines.find(|(_, (expected, actual))| expected != actual);
        assert!(
            expected == actual,
            "{name} differs, first in {difference:?}; {UPDATE}=1 writes it. Now it is:\n{actual}"
        );
    }

    /// Replaces everything that changes from one run of the tests to the next.
    fn normalised(&self, text: &str) -> String {
        let folder = self.folder.path().to_string_lossy();
        let text = text.replace(&*folder, "DIR").replace(&self.url, "URL");
        [
            "checks in ",
            "time=\"",
            "\"took_ms\": ",
            "(ulimit -n) allows ",
        ]
        .iter()
        .fold(text, |text, prefix| without_number(&text, prefix))
    }
}

/// Replaces the number after each occurrence of `prefix`.
fn without_number(text: &str, prefix: &str) -> String {
    let mut parts = text.split(prefix);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |shown, part| {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        format!("{shown}{prefix}N{rest}")
    })
}
