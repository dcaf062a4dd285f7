//! The user that runs Postgres. PostgreSQL refuses to run as root, so root starts it as the
//! unprivileged `postgres`, or as `nobody` where there is no such user.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use nix::unistd::{User, geteuid};

/// Users that may run Postgres for root, in order; `_postgres` exists on macOS.
const CANDIDATES: [&str; 3] = ["postgres", "_postgres", "nobody"];

/// The user that runs a program.
#[derive(Clone, Debug)]
pub struct Account {
    /// Set only for root: the user to switch to.
    other: Option<User>,
}

impl Account {
    /// Returns the present user.
    pub(crate) fn current() -> Self {
        Self { other: None }
    }

    /// Returns the user for Postgres: the present one, unless that is root.
    ///
    /// # Errors
    /// Root finds no unprivileged user, or the users cannot be looked up.
    pub fn for_postgres() -> Result<Self> {
        if !geteuid().is_root() {
            return Ok(Self::current());
        }
        for name in CANDIDATES {
            let user =
                User::from_name(name).with_context(|| format!("looking up the user {name}"))?;
            if user.is_some() {
                return Ok(Self { other: user });
            }
        }
        bail!(
            "PostgreSQL does not run as root, and this machine has none of the users {CANDIDATES:?}"
        )
    }

    /// Makes a command run as this user. The standard library drops the supplementary groups of root.
    pub(crate) fn run_as(&self, command: &mut Command) {
        if let Some(user) = &self.other {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
    }

    /// Changes the owner of a path, which must not be a link, to this user.
    ///
    /// # Errors
    /// The file system refuses.
    pub(crate) fn own(&self, path: &Path) -> Result<()> {
        if let Some(user) = &self.other {
            let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
            chown(path, Some(uid), Some(gid))
                .with_context(|| format!("giving {} to the user {}", path.display(), user.name))?;
        }
        Ok(())
    }

    /// Returns true if this user owns the path.
    pub(crate) fn owns(&self, path: &Path) -> bool {
        let user = self.other.as_ref().map_or_else(geteuid, |user| user.uid);
        fs::metadata(path).is_ok_and(|found| found.uid() == user.as_raw())
    }

    /// Returns true if this user can enter the folder. It is tried, so that access lists count too.
    ///
    /// # Errors
    /// No shell can be started.
    pub(crate) fn can_enter(&self, folder: &Path) -> Result<bool> {
        let mut command = Command::new("/bin/sh");
        let script = [OsStr::new("-c"), OsStr::new(r#"cd "$0""#)];
        command.args(script).arg(folder).current_dir("/");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        self.run_as(&mut command);
        let status = command
            .status()
            .with_context(|| format!("trying to enter {}", folder.display()))?;
        Ok(status.success())
    }
}
