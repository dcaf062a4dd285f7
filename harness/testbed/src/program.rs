//! What a daemon runs: an executable, its arguments and its whole environment.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::{env, fs};

use anyhow::{Context, Result};

/// Variables of the caller that every daemon sees; all others are cleared, so that neither a proxy
/// nor `PG*` variables of the caller change what a service does.
const PASSED_ON: [&str; 3] = ["PATH", "RUST_BACKTRACE", "RUST_LOG"];

/// An executable, its arguments and its environment.
#[derive(Clone, Debug)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its environment, each name once.
    pub environment: Vec<(String, OsString)>,
    /// The folder it starts in.
    pub folder: PathBuf,
}

impl Program {
    /// The executable without arguments, with what every daemon sees of the caller's environment.
    pub fn new(path: PathBuf) -> Self {
        let passed_on = |name: &str| env::var_os(name).map(|value| (name.to_owned(), value));
        Self {
            path,
            arguments: Vec::new(),
            environment: PASSED_ON.into_iter().filter_map(passed_on).collect(),
            folder: PathBuf::from("/"),
        }
    }

    /// Adds an argument.
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Sets a variable.
    pub fn variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// A number that changes with the executable's content (its size and time), the arguments and
    /// the environment.
    ///
    /// # Errors
    /// There is no such executable.
    pub fn fingerprint(&self) -> Result<u64> {
        let file = fs::metadata(&self.path)
            .with_context(|| format!("looking at {}", self.path.display()))?;
        let stamp = format!("{} {} {}", file.len(), file.mtime(), file.mtime_nsec());
        // The services start nothing, so another search path changes nothing.
        let environment = self.environment.iter().filter(|(name, _)| name != "PATH");
        let texts = [self.path.as_os_str().as_bytes(), stamp.as_bytes()]
            .into_iter()
            .chain(self.arguments.iter().map(|argument| argument.as_bytes()))
            .chain(environment.flat_map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()]));
        Ok(texts.fold(0, fnv1a))
    }
}

/// FNV-1a over a text and its end, going on from `hash`. Unlike the standard library's hashers it
/// is the same for every build: what it names is found again.
pub fn fnv1a(hash: u64, text: &[u8]) -> u64 {
    let start = hash ^ 0xcbf2_9ce4_8422_2325;
    let bytes = text.iter().chain(&[0]);
    bytes.fold(start, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell() -> Program {
        Program {
            path: PathBuf::from("/bin/sh"),
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: PathBuf::from("/"),
        }
    }

    #[test]
    fn the_fingerprint_changes_with_arguments_and_environment() {
        let programs = [
            shell(),
            shell().argument("ab"),
            shell().argument("a").argument("b"),
            shell().variable("a", "b"),
            shell().variable("a", "c"),
        ];
        let mut prints: Vec<u64> = programs.iter().map(|p| p.fingerprint().unwrap()).collect();
        assert_eq!(prints[0], shell().fingerprint().unwrap());
        prints.sort_unstable();
        prints.dedup();
        assert_eq!(prints.len(), programs.len());
    }

    #[test]
    fn a_variable_that_is_set_again_replaces_the_first() {
        let program = shell().variable("a", "1").variable("a", "2");
        assert_eq!(program.environment, [("a".to_owned(), "2".into())]);
    }

    #[test]
    fn an_executable_that_is_not_there_is_named() {
        let mut program = shell();
        program.path = PathBuf::from("/nowhere/service");
        let error = program.fingerprint().unwrap_err();
        assert_eq!(error.to_string(), "looking at /nowhere/service");
    }
}
