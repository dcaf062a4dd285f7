//! A contender in a container: one service of its own Compose files, unchanged but for the network
//! and the environment. It shares the machine's network, so that it reaches the harness's side on
//! 127.0.0.1 and nothing is published.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use rustix::process::Pid;
use serde_json::json;
use tempfile::TempDir;

use super::Container;
use crate::cpus::Cpus;
use crate::interrupt::Interrupt;

/// Lines of a log that an error shows.
const TAIL_LINES: usize = 20;

/// The container of one run; it is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Process {
    how: Container,
    project: String,
    /// Holds the Compose file that overrides network and environment.
    folder: TempDir,
}

impl Process {
    /// Builds the image and starts the container.
    ///
    /// # Errors
    /// Docker does not respond, or the build or the start fails.
    pub(super) fn start(
        how: &Container,
        environment: &BTreeMap<String, String>,
        cpus: Option<&Cpus>,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("suite-contender-")
            .tempdir()
            .context("making a folder for the contender's Compose file")?;
        let file = folder.path().join("override.yml");
        fs::write(&file, overriding(&how.service, environment, cpus))
            .with_context(|| format!("writing {}", file.display()))?;
        let process = Self {
            how: how.clone(),
            project: format!("suite-contender-{}", std::process::id()),
            folder,
        };
        let up = ["up", "--build", "--no-deps", "--detach", &how.service];
        let up = process.compose("plain", &up).output().context(
            "docker is missing: install Docker with Compose v2, or start the contender natively",
        )?;
        interrupt.check()?;
        ensure!(
            up.status.success(),
            "`docker compose up {}` failed ({}); the end of its output:\n{}",
            how.service,
            up.status,
            tail(&up)
        );
        Ok(process)
    }

    fn compose(&self, progress: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args([
            "compose",
            "--progress",
            progress,
            "--project-name",
            &self.project,
        ]);
        for file in &self.how.files {
            command.arg("--file").arg(file);
        }
        command
            .arg("--file")
            .arg(self.folder.path().join("override.yml"));
        command.args(arguments).stdin(Stdio::null());
        command
    }

    fn output(&self, arguments: &[&str]) -> Result<Output> {
        let output = self.compose("quiet", arguments).output();
        output.with_context(|| format!("docker compose {}", arguments.join(" ")))
    }

    /// Returns the first process of the container, in the process ids of this machine.
    ///
    /// # Errors
    /// Docker does not respond, or the container has ended.
    pub(super) fn root(&self) -> Result<Pid> {
        let listed = self.output(&["ps", "--quiet", &self.how.service])?;
        let id = String::from_utf8_lossy(&listed.stdout).trim().to_owned();
        let asked = Command::new("docker")
            .args(["inspect", "--format", "{{.State.Pid}}", &id])
            .output()
            .context("docker inspect")?;
        let pid = String::from_utf8_lossy(&asked.stdout).trim().parse().ok();
        pid.and_then(Pid::from_raw)
            .with_context(|| format!("{} has no process", self.how.service))
    }

    /// Returns an error with the end of its log if it has ended.
    ///
    /// # Errors
    /// Docker does not respond.
    pub(super) fn ended(&self) -> Result<Option<anyhow::Error>> {
        let running = self.output(&["ps", "--status", "running", "--quiet"])?;
        let ended = running.stdout.trim_ascii().is_empty();
        Ok(ended.then(|| anyhow::anyhow!("{} has ended; {}", self.how.service, self.log())))
    }

    /// Returns the end of its log.
    pub(super) fn log(&self) -> String {
        let lines = TAIL_LINES.to_string();
        let log = self.output(&["logs", "--no-color", "--tail", &lines]);
        let log = log.map(|log| tail(&log)).unwrap_or_default();
        format!("the end of its log:\n{log}")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let down = self.output(&[
            "down",
            "--volumes",
            "--remove-orphans",
            "--rmi",
            "local",
            "--timeout",
            "3",
        ]);
        match down {
            Ok(output) if output.status.success() => {}
            Ok(output) => eprintln!(
                "contender: {}",
                String::from_utf8_lossy(&output.stderr).trim_end()
            ),
            Err(error) => eprintln!("contender: {error:#}"),
        }
    }
}

/// Returns the last lines of the output of a command.
fn tail(output: &Output) -> String {
    let said = [&*output.stdout, &*output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.trim_end().lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

/// Returns a Compose file that overrides that of the contender. Its values are JSON, which is YAML;
/// the tag `!reset` removes a key instead of merging it.
fn overriding(
    service: &str,
    environment: &BTreeMap<String, String>,
    cpus: Option<&Cpus>,
) -> String {
    let environment: BTreeMap<_, _> = environment
        .iter()
        // `$` starts a variable in a Compose file.
        .map(|(name, value)| (name, value.replace('$', "$$")))
        .collect();
    let cpuset = cpus.map_or_else(String::new, |cpus| format!("    cpuset: \"{cpus}\"\n"));
    format!(
        "services:\n  {}:\n    network_mode: host\n    networks: !reset null\n    ports: !reset []\n    \
         depends_on: !reset null\n    healthcheck: !reset null\n{cpuset}    environment: {}\n",
        json!(service),
        json!(environment)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped() {
        let environment = BTreeMap::from([("A".to_owned(), "a$b \"c\"".to_owned())]);
        let cpus = "0-1".parse().unwrap();
        let file = overriding("gin", &environment, Some(&cpus));
        assert!(file.contains("\n    cpuset: \"0,1\"\n"));
        assert!(file.starts_with("services:\n  \"gin\":\n    network_mode: host\n"));
        assert!(
            file.ends_with("environment: {\"A\":\"a$$b \\\"c\\\"\"}\n"),
            "{file}"
        );
    }
}
