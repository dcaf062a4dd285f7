//! Folders of the cluster and of the unpacked server: the state or cache folder, if the user that runs
//! Postgres can enter it, else a folder for temporary files that survive a restart.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::unistd::geteuid;

use crate::account::Account;
use crate::process::fnv1a;

/// Open to every user, and kept over a restart of the machine (Filesystem Hierarchy Standard, 5.15).
pub(super) const OPEN_FOLDER: &str = "/var/tmp";

/// Mode of a folder that other users can enter, but neither list nor change.
pub(super) const ENTERED_BY_ALL: u32 = 0o711;

/// Returns `folder`, which must exist, or its stand-in if the user of Postgres cannot enter it.
///
/// # Errors
/// The stand-in cannot be made, or another user made it.
pub fn base(folder: &Path, account: &Account) -> Result<PathBuf> {
    if account.can_enter(folder)? {
        return Ok(folder.to_path_buf());
    }
    let stand_in = stand_in(folder)?;
    make(&stand_in)?;
    Ok(stand_in)
}

/// Returns the stand-in of a folder: named by a hash of its path, so that it is found again.
fn stand_in(folder: &Path) -> Result<PathBuf> {
    let real =
        fs::canonicalize(folder).with_context(|| format!("resolving {}", folder.display()))?;
    let hash = fnv1a(0, real.as_os_str().as_bytes());
    Ok(Path::new(OPEN_FOLDER).join(format!("suite-{hash:016x}")))
}

/// Removes the stand-in of a folder, if it exists.
///
/// # Errors
/// Another user owns it, or it cannot be removed.
pub fn remove_stand_in(folder: &Path) -> Result<()> {
    let stand_in = stand_in(folder)?;
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
    // Nobody else can replace it: its parent is sticky.
    fs::set_permissions(folder, Permissions::from_mode(ENTERED_BY_ALL))
        .with_context(|| format!("opening {} to the user of Postgres", folder.display()))
}

/// Fails if another user made the folder: its parent is open to every user.
fn must_be_ours(folder: &Path) -> Result<()> {
    let found = folder
        .symlink_metadata()
        .with_context(|| format!("looking at {}", folder.display()))?;
    if !found.is_dir() || found.uid() != geteuid().as_raw() {
        bail!(
            "{} is not a folder of this user: remove it, or set SUITE_STATE_DIR and SUITE_CACHE_DIR to other folders",
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
    fn stand_in_is_named_by_the_real_path_of_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::create_dir(&real).unwrap();
        symlink(&real, &link).unwrap();
        assert_eq!(stand_in(&real).unwrap(), stand_in(&link).unwrap());
        assert_ne!(stand_in(&real).unwrap(), stand_in(folder.path()).unwrap());
    }

    #[test]
    fn stand_in_is_made_once_and_a_link_in_its_place_is_rejected() {
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
