//! Where the cluster and an unpacked server live: in the state folder, if the user that runs
//! Postgres gets there; else in a folder of its own for temporary files that outlive a restart.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::unistd::geteuid;

use crate::account::Account;
use crate::program::fnv1a;

/// Open to every user, and kept over a restart of the machine (Filesystem Hierarchy Standard, 5.15).
pub const OPEN_FOLDER: &str = "/var/tmp";

/// The owner's, and entered by others, who can neither list nor change it.
pub const ENTERED_BY_ALL: u32 = 0o711;

/// The folder for the cluster and an unpacked server: `state`, which must exist, or its stand-in.
///
/// # Errors
/// The stand-in cannot be made, or somebody else made it.
pub fn base(state: &Path, account: &Account) -> Result<PathBuf> {
    if account.can_enter(state)? {
        return Ok(state.to_path_buf());
    }
    let stand_in = stand_in(state)?;
    make(&stand_in)?;
    Ok(stand_in)
}

/// The folder that stands in for a state folder: named by a hash of its path, so that it is found
/// again without a note of it.
///
/// # Errors
/// There is no such state folder.
pub fn stand_in(state: &Path) -> Result<PathBuf> {
    let state =
        fs::canonicalize(state).with_context(|| format!("resolving {}", state.display()))?;
    let hash = fnv1a(0, state.as_os_str().as_bytes());
    Ok(Path::new(OPEN_FOLDER).join(format!("suite-{hash:016x}")))
}

/// Removes the stand-in of a state folder, if there is one.
///
/// # Errors
/// It is not ours, or cannot be removed.
pub fn remove_stand_in(state: &Path) -> Result<()> {
    let stand_in = stand_in(state)?;
    if stand_in.symlink_metadata().is_err() {
        return Ok(());
    }
    must_be_ours(&stand_in)?;
    fs::remove_dir_all(&stand_in).with_context(|| format!("removing {}", stand_in.display()))
}

fn make(folder: &Path) -> Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(error).with_context(|| format!("making {}", folder.display()));
        }
        _ => must_be_ours(folder)?,
    }
    // From here on nobody else can put another folder in its place: the parent is sticky.
    fs::set_permissions(folder, Permissions::from_mode(ENTERED_BY_ALL))
        .with_context(|| format!("opening {} to the user of Postgres", folder.display()))
}

/// In a folder that everybody writes to, another user may have been there first.
fn must_be_ours(folder: &Path) -> Result<()> {
    let found = folder
        .symlink_metadata()
        .with_context(|| format!("looking at {}", folder.display()))?;
    if !found.is_dir() || found.uid() != geteuid().as_raw() {
        bail!(
            "{} is not a folder of this user: remove it, or set SUITE_STATE_DIR to another folder",
            folder.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_stand_in_is_named_by_the_real_path_of_its_state() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::create_dir(&real).unwrap();
        symlink(&real, &link).unwrap();
        assert_eq!(stand_in(&real).unwrap(), stand_in(&link).unwrap());
        assert_ne!(stand_in(&real).unwrap(), stand_in(folder.path()).unwrap());
    }

    #[test]
    fn a_folder_is_made_once_and_a_link_in_its_place_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let made = folder.path().join("made");
        make(&made).unwrap();
        make(&made).unwrap();
        let mode = made.metadata().unwrap().mode() & 0o777;
        assert_eq!(mode, ENTERED_BY_ALL);

        let link = folder.path().join("link");
        symlink(&made, &link).unwrap();
        let error = make(&link).unwrap_err().to_string();
        assert!(error.contains("is not a folder of this user"), "{error}");
    }
}
