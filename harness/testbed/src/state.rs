//! The state folder: locks, logs and the cluster of a native start.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, iter};

use anyhow::{Context, Result, ensure};

use crate::interrupt::Interrupt;
use crate::lock::lock_within;
use crate::process::Daemon;

/// Names the state folder, instead of that of the checkout.
const SUITE_STATE_DIR: &str = "SUITE_STATE_DIR";

/// The state folder inside a checkout.
const STATE_FOLDER: &str = ".state";

/// The file that marks a state folder. A command that changes the state locks it.
const LOCK_FILE: &str = "suite.lock";

/// Longest wait for another command, which may download PostgreSQL over a slow line.
const LOCK_TIMEOUT: Duration = Duration::from_secs(900);

/// A state folder, which may not exist yet.
#[derive(Clone, Debug)]
pub struct State {
    folder: PathBuf,
}

/// The exclusive right to change the state.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl State {
    /// Returns `SUITE_STATE_DIR`, else `.state` in the checkout that holds the executable or the present
    /// folder.
    ///
    /// # Errors
    /// The variable is not set, and there is no checkout.
    pub fn find() -> Result<Self> {
        if let Some(folder) = env::var_os(SUITE_STATE_DIR).filter(|value| !value.is_empty()) {
            let folder = std::path::absolute(&folder)
                .with_context(|| format!("{SUITE_STATE_DIR}={}", folder.display()))?;
            return Ok(Self { folder });
        }
        let checkout = checkout().with_context(|| {
            format!(
                "neither the executable nor the present folder is inside a checkout of the suite: \
                 run this in one, or set {SUITE_STATE_DIR} to a folder for its state"
            )
        })?;
        let folder = checkout.join(STATE_FOLDER);
        Ok(Self { folder })
    }

    /// Returns the folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns true if the folder exists.
    pub fn exists(&self) -> bool {
        self.folder.join(LOCK_FILE).exists()
    }

    /// Returns the daemon of this name.
    pub fn daemon(&self, name: &'static str) -> Daemon {
        Daemon::new(&self.folder, name)
    }

    /// Makes the folder if it is missing, and waits for the other commands that change it.
    ///
    /// # Errors
    /// Interrupted, another command takes too long, or the folder holds something else.
    pub fn lock(&self, interrupt: &Interrupt) -> Result<Lock> {
        let folder = self.folder.display();
        fs::create_dir_all(&self.folder).with_context(|| format!("making {folder}"))?;
        let mut entries =
            fs::read_dir(&self.folder).with_context(|| format!("reading {folder}"))?;
        ensure!(
            // In this order: another command may just be making it, and its lock comes first.
            entries.next().is_none() || self.exists(),
            "{folder} holds something else: set {SUITE_STATE_DIR} to an empty or a new folder"
        );
        let mut told = false;
        let locked = interrupt.wait(LOCK_TIMEOUT, || {
            let locked = self.try_lock()?;
            if locked.is_none() && !told {
                eprintln!("another command is at work on {folder}: waiting for it");
                told = true;
            }
            Ok(locked)
        })?;
        locked.with_context(|| {
            format!("another command has been at work on {folder} for {LOCK_TIMEOUT:?}")
        })
    }

    fn try_lock(&self) -> Result<Option<Lock>> {
        let path = self.folder.join(LOCK_FILE);
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .open(&path);
        let file = match file {
            Ok(file) => file,
            // Removed by `down --purge` since.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(&self.folder)?;
                return Ok(None);
            }
            Err(error) => return Err(error).with_context(|| format!("opening {}", path.display())),
        };
        let taken = lock_within(Duration::ZERO, &file);
        if !taken.with_context(|| format!("locking {}", path.display()))? {
            return Ok(None);
        }
        // The lock of a file that was removed meanwhile locks nothing.
        let is_there = match (file.metadata(), fs::metadata(&path)) {
            (Ok(locked), Ok(there)) => locked.ino() == there.ino(),
            _ => false,
        };
        Ok(is_there.then_some(Lock { _file: file }))
    }

    /// Removes the folder, under its lock.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn remove(&self, _lock: &Lock) -> Result<()> {
        fs::remove_dir_all(&self.folder)
            .with_context(|| format!("removing {}", self.folder.display()))
    }
}

/// Returns the checkout of the suite that holds the executable, else the present folder.
pub fn checkout() -> Option<PathBuf> {
    let paths = [env::current_exe(), env::current_dir()];
    paths
        .into_iter()
        .flatten()
        .find_map(|path| checkout_around(&path))
}

fn checkout_around(path: &Path) -> Option<PathBuf> {
    let is_checkout = |folder: &&Path| {
        folder.join("Cargo.toml").is_file() && folder.join("schema/Cargo.toml").is_file()
    };
    iter::successors(Some(path), |path| path.parent())
        .find(is_checkout)
        .map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state_in(folder: &Path) -> State {
        let folder = folder.join("state");
        State { folder }
    }

    #[test]
    fn checkout_is_found_from_a_nested_folder() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("target/release/harness");
        assert_eq!(checkout_around(&inside), None);
        fs::write(folder.path().join("Cargo.toml"), "").unwrap();
        fs::create_dir(folder.path().join("schema")).unwrap();
        fs::write(folder.path().join("schema/Cargo.toml"), "").unwrap();
        assert_eq!(checkout_around(&inside).as_deref(), Some(folder.path()));
    }

    #[test]
    fn state_is_locked_by_one_command_and_again_after_a_purge() {
        let folder = tempfile::tempdir().unwrap();
        let state = state_in(folder.path());
        let lock = state.lock(&Interrupt::never()).unwrap();
        assert!(state.try_lock().unwrap().is_none());
        state.remove(&lock).unwrap();
        assert!(!state.exists());
        let again = state.lock(&Interrupt::never()).unwrap();
        assert!(state.exists());
        drop((lock, again));
        state.lock(&Interrupt::never()).unwrap();
    }

    #[test]
    fn folder_with_other_files_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let state = state_in(folder.path());
        fs::create_dir(state.folder()).unwrap();
        fs::write(state.folder().join("thesis.tex"), "").unwrap();
        let error = state.lock(&Interrupt::never()).unwrap_err().to_string();
        assert!(error.contains("holds something else"), "{error}");
        assert!(!state.exists());
    }
}
