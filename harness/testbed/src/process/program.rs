//! A program to run: an executable, its arguments, its whole environment, its folder and its user.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::account::Account;

/// Variables of the caller that every program sees. All others are cleared, so that neither a proxy
/// nor `PG*` variables of the caller change the behaviour of a service.
const PASSED_ON: [&str; 3] = ["PATH", "RUST_BACKTRACE", "RUST_LOG"];

/// An executable with its arguments and its environment.
#[derive(Clone, Debug)]
pub struct Program {
    pub(super) path: PathBuf,
    arguments: Vec<OsString>,
    /// Each name once.
    environment: Vec<(OsString, OsString)>,
    folder: PathBuf,
    account: Account,
}

/// The destination of standard output and standard error.
#[derive(Debug)]
pub enum Output {
    /// A file, which is emptied and then appended to.
    Log(PathBuf),
    /// Standard error of the harness.
    Stderr,
}

impl Output {
    pub(super) fn log(&self) -> Option<&Path> {
        match self {
            Self::Log(path) => Some(path),
            Self::Stderr => None,
        }
    }
}

impl Program {
    /// Creates a program without arguments that sees a few variables of the caller.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let program = Self {
            path: path.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: PathBuf::from("/"),
            account: Account::current(),
        };
        program.passing_on(&PASSED_ON)
    }

    /// Passes on these variables of the caller, if they are set.
    #[must_use]
    pub fn passing_on(self, names: &[&str]) -> Self {
        names
            .iter()
            .fold(self, |program, name| match env::var_os(name) {
                Some(value) => program.variable(*name, value),
                None => program,
            })
    }

    /// Passes on the whole environment of the caller.
    #[must_use]
    pub fn passing_on_all(self) -> Self {
        env::vars_os().fold(self, |program, (name, value)| program.variable(name, value))
    }

    /// Adds an argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        let name = name.into();
        self.environment.retain(|(known, _)| *known != name);
        self.environment.push((name, value.into()));
        self
    }

    /// Sets the folder that it starts in, which is `/` otherwise.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Self {
        folder.clone_into(&mut self.folder);
        self
    }

    /// Sets the user that it runs as.
    #[must_use]
    pub fn account(mut self, account: &Account) -> Self {
        account.clone_into(&mut self.account);
        self
    }

    /// Returns its command line, in a process group of its own, out of reach of Ctrl-C.
    ///
    /// # Errors
    /// The log cannot be written.
    pub(super) fn command(&self, output: Output) -> Result<Command> {
        let mut command = Command::new(&self.path);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .process_group(0);
        match output {
            Output::Log(path) => {
                let log = emptied(&path)?;
                let same = log.try_clone().context("sharing a log")?;
                command.stdout(same).stderr(log);
            }
            Output::Stderr => {
                command.stdout(std::io::stderr());
            }
        }
        self.account.run_as(&mut command);
        Ok(command)
    }

    /// Wraps it into a shell that writes its process id to standard input first.
    pub(super) fn announcing_its_id(&self) -> Self {
        let mut arguments: Vec<OsString> = ["-c", r#"echo "$$" >&0; exec "$@""#, "sh"]
            .map(Into::into)
            .into();
        arguments.push(self.path.clone().into());
        arguments.extend(self.arguments.iter().cloned());
        Self {
            path: PathBuf::from("/bin/sh"),
            arguments,
            ..self.clone()
        }
    }

    /// Returns a number that changes with the executable (its size and time), the arguments and the
    /// environment.
    ///
    /// # Errors
    /// The executable does not exist.
    pub fn fingerprint(&self) -> Result<u64> {
        let file = fs::metadata(&self.path)
            .with_context(|| format!("looking at {}", self.path.display()))?;
        let stamp = format!("{} {} {}", file.len(), file.mtime(), file.mtime_nsec());
        // The services start no programs, so another search path changes nothing.
        let environment = self.environment.iter().filter(|(name, _)| name != "PATH");
        let texts = [self.path.as_os_str().as_bytes(), stamp.as_bytes()]
            .into_iter()
            .chain(self.arguments.iter().map(|argument| argument.as_bytes()))
            .chain(environment.flat_map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()]));
        Ok(texts.fold(0, fnv1a))
    }
}

fn emptied(log: &Path) -> Result<File> {
    // Appended to, so that the log can be cut while the process writes.
    let opened = OpenOptions::new().create(true).append(true).open(log);
    opened
        .and_then(|file| file.set_len(0).map(|()| file))
        .with_context(|| format!("opening {}", log.display()))
}

/// Returns the FNV-1a hash of a text and its end, continued from `hash`. Unlike the hashers of the
/// standard library it is the same in every build.
pub(crate) fn fnv1a(hash: u64, text: &[u8]) -> u64 {
    let start = hash ^ 0xcbf2_9ce4_8422_2325;
    let bytes = text.iter().chain(&[0]);
    bytes.fold(start, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprint_changes_with_arguments_and_environment() {
        let shell = || Program::new("/bin/sh");
        let programs = [
            shell(),
            shell().argument("ab"),
            shell().argument("a").argument("b"),
            shell().variable("a", "b"),
            shell().variable("a", "c"),
        ];
        let mut prints: Vec<u64> = programs.iter().map(|p| p.fingerprint().unwrap()).collect();
        let again = shell().variable("a", "b").variable("a", "c");
        assert_eq!(prints[4], again.fingerprint().unwrap());
        prints.sort_unstable();
        prints.dedup();
        assert_eq!(prints.len(), programs.len());
    }

    #[test]
    fn missing_executable_is_named() {
        let error = Program::new("/nowhere/service").fingerprint().unwrap_err();
        assert_eq!(error.to_string(), "looking at /nowhere/service");
    }
}
