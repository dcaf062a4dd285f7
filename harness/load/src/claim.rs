//! The processors of a run, which no other run on this machine has at the same time: what two of them
//! measured would be each other.
//!
//! Each processor is a file in the folder for temporary files, locked as long as the run lasts. The
//! lock ends with the process, however that ends; the file stays, and says who had it last.

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::process;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::fs::OFlags;

use testbed::cpus::Cpus;
use testbed::lock::lock_within;

/// Nobody holds a lock for a moment only: this is for [`lock_within`]'s children.
const LOCK_TIMEOUT: Duration = Duration::from_millis(500);

/// Every user's runs are told apart.
const EVERYBODY_S: u32 = 0o666;

/// Nobody else measures on these processors while this lives.
#[derive(Debug)]
pub struct Claim {
    _locks: Vec<File>,
}

impl Claim {
    /// Takes these processors for the run of this command line.
    ///
    /// # Errors
    /// Another run has one of them; says who.
    pub fn of(cpus: [&Cpus; 2], command: &[String]) -> Result<Self> {
        let numbers = cpus.into_iter().flat_map(Cpus::numbers).copied();
        Self::within(&env::temp_dir(), numbers.collect(), &command.join(" "))
    }

    fn within(folder: &Path, cpus: BTreeSet<usize>, command: &str) -> Result<Self> {
        let lock = |cpu: usize| {
            let path = folder.join(format!("suite-processor-{cpu}.lock"));
            let locked = || -> Result<File> {
                let mut file = opened(&path)?;
                if !lock_within(LOCK_TIMEOUT, &file)? {
                    let who = fs::read_to_string(&path).unwrap_or_default();
                    bail!(
                        "another run measures on processor {cpu} ({}): wait for its end, or name other \
                         processors with --cpus",
                        who.trim_end()
                    );
                }
                file.set_len(0)?;
                // Who finds no room to say so has it all the same.
                let _ = writeln!(file, "process {}: {command}", process::id());
                Ok(file)
            };
            locked().with_context(|| format!("locking {}", path.display()))
        };
        Ok(Self {
            _locks: cpus.into_iter().map(lock).collect::<Result<_>>()?,
        })
    }
}

/// The file, made if need be; never one that somebody has linked to.
fn opened(path: &Path) -> Result<File> {
    let open = |options: &mut OpenOptions| {
        options
            .read(true)
            .append(true)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(path)
    };
    // A file of another user's in a folder like /tmp is not opened by who would also make it.
    match open(&mut File::options()) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        other => return Ok(other?),
    }
    match open(File::options().create_new(true)) {
        Ok(file) => {
            // Whatever the process's umask took away.
            file.set_permissions(Permissions::from_mode(EVERYBODY_S))?;
            Ok(file)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(open(&mut File::options())?),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn claim(folder: &Path, cpus: &[usize]) -> Result<Claim> {
        Claim::within(folder, cpus.iter().copied().collect(), "harness bench")
    }

    #[test]
    fn a_processor_is_one_run_s_until_that_ends() {
        let folder = tempfile::tempdir().unwrap();
        let first = claim(folder.path(), &[0, 1, 1]).unwrap();
        let _other = claim(folder.path(), &[2, 3]).unwrap();
        let error = format!("{:#}", claim(folder.path(), &[1, 4]).unwrap_err());
        let who = format!("on processor 1 (process {}: harness bench)", process::id());
        assert!(error.contains(&who), "{error}");
        drop(first);
        claim(folder.path(), &[1, 4]).unwrap();
    }

    #[test]
    fn what_somebody_has_linked_to_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let theirs = folder.path().join("theirs");
        fs::write(&theirs, "all of it").unwrap();
        symlink(&theirs, folder.path().join("suite-processor-0.lock")).unwrap();
        claim(folder.path(), &[0]).unwrap_err();
        assert_eq!(fs::read_to_string(theirs).unwrap(), "all of it");
    }
}
