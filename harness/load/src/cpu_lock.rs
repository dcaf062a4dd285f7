//! Locks on the CPUs of a run: two runs on one CPU would measure each other.
//!
//! Each CPU is a file in the folder for temporary files, locked until the process ends. The file
//! stays and names its last owner.

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::process;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::fs::OFlags;

use testbed::cpus::Cpus;
use testbed::lock::lock_within;

/// Time for a lock that children of this process hold for a moment.
const LOCK_TIMEOUT: Duration = Duration::from_millis(500);

/// Runs of different users exclude each other too.
const MODE: u32 = 0o666;

/// Exclusive locks on CPUs, released when this is dropped.
#[derive(Debug)]
pub struct CpuLock {
    _files: Vec<File>,
}

impl CpuLock {
    /// Locks these CPUs for the run of this command line.
    ///
    /// # Errors
    /// Another run has locked one of them; the error names it.
    pub fn acquire(cpus: [&Cpus; 2], command: &[String]) -> Result<Self> {
        let numbers = cpus.into_iter().flat_map(Cpus::numbers).copied();
        Self::within(&env::temp_dir(), numbers.collect(), &command.join(" "))
    }

    fn within(folder: &Path, cpus: BTreeSet<usize>, command: &str) -> Result<Self> {
        let lock = |cpu: usize| {
            let path = folder.join(format!("suite-cpu-{cpu}.lock"));
            let file = lock(&path, cpu, command);
            file.with_context(|| format!("locking {}", path.display()))
        };
        let files = cpus.into_iter().map(lock).collect::<Result<_>>()?;
        Ok(Self { _files: files })
    }
}

fn lock(path: &Path, cpu: usize, command: &str) -> Result<File> {
    let mut file = open(path)?;
    if !lock_within(LOCK_TIMEOUT, &file)? {
        let owner = fs::read_to_string(path).unwrap_or_default();
        bail!(
            "another run measures on CPU {cpu} ({}): wait for its end, or name other CPUs with --cpus",
            owner.trim_end()
        );
    }
    file.set_len(0)?;
    // Recording the owner is best effort: the lock is held even if the disk is full.
    let _ = writeln!(file, "process {}: {command}", process::id());
    Ok(file)
}

/// Opens the file, which is created if need be, and never through a symbolic link.
fn open(path: &Path) -> Result<File> {
    let mut options = File::options();
    options
        .read(true)
        .append(true)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    // In a folder like /tmp the kernel refuses O_CREAT for another user's file
    // (fs.protected_regular), so the file is opened without it first.
    match options.open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        result => return Ok(result?),
    }
    match options.clone().create_new(true).open(path) {
        Ok(file) => {
            // The umask applies to the mode of a new file only.
            file.set_permissions(Permissions::from_mode(MODE))?;
            Ok(file)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(options.open(path)?),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn acquire(folder: &Path, cpus: &[usize]) -> Result<CpuLock> {
        CpuLock::within(folder, cpus.iter().copied().collect(), "harness bench")
    }

    #[test]
    fn locked_cpu_is_refused_until_its_run_ends() {
        let folder = tempfile::tempdir().unwrap();
        let first = acquire(folder.path(), &[0, 1, 1]).unwrap();
        let _other = acquire(folder.path(), &[2, 3]).unwrap();
        let error = format!("{:#}", acquire(folder.path(), &[1, 4]).unwrap_err());
        let owner = format!("on CPU 1 (process {}: harness bench)", process::id());
        assert!(error.contains(&owner), "{error}");
        drop(first);
        acquire(folder.path(), &[1, 4]).unwrap();
    }

    #[test]
    fn symbolic_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        fs::write(&target, "all of it").unwrap();
        symlink(&target, folder.path().join("suite-cpu-0.lock")).unwrap();
        acquire(folder.path(), &[0]).unwrap_err();
        assert_eq!(fs::read_to_string(target).unwrap(), "all of it");
    }
}
