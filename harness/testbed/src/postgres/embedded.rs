//! A pinned PostgreSQL build by `postgresql_embedded`, unpacked into a folder of ours: no root,
//! nothing left elsewhere. The harness with the download in it is built when it is needed, so that
//! no TLS stack comes near the services that are measured (see `Cargo.toml`).

use std::env;
use std::fs;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::account::Account;
use crate::daemon::Daemon;
use crate::interrupt::Interrupt;
use crate::program::Program;

/// The build: of the major version that Compose uses too.
pub const VERSION: &str = "18.3.0";

/// The hidden command of the harness that is built for the download.
pub const UNPACK_COMMAND: &str = "unpack-postgres";

/// Name of the daemon that builds and downloads.
pub const DOWNLOAD: &str = "download";

/// Where `postgresql_embedded` finds its archives.
const ARCHIVE_HOST: (&str, u16) = ("github.com", 443);

/// Time to connect there: what cannot be reached is given up before anything is built.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Time to build the download, and to download over a slow line.
const TIMEOUT: Duration = Duration::from_secs(900);

/// Unpacks the build into `to`, as `<to>/<version>/bin`. The work is done by the daemon `download`
/// of `state`, so that its log is there and `down` finds it when this process is killed.
///
/// # Errors
/// Interrupted, no Cargo, or the archive cannot be reached, is not what its checksum says, or
/// cannot be unpacked.
pub fn get(checkout: &Path, to: &Path, state: &Path, interrupt: &Interrupt) -> Result<()> {
    must_be_reachable()?;
    let build = to.join("build");
    fs::create_dir_all(&build).with_context(|| format!("making {}", build.display()))?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut cargo = Program::new(cargo.into())
        .argument("run")
        .argument("--locked")
        .argument("--package=harness")
        .argument("--features=embedded-postgres")
        .argument("--target-dir")
        .argument(&build)
        .argument("--")
        .argument(UNPACK_COMMAND)
        .argument(to);
    // Cargo finds its toolchain, its registry and its proxy by the caller's environment.
    let own = env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    cargo.environment = own.collect();
    // Settings of postgresql_embedded make temporary folders and leave them.
    cargo = cargo.variable("TMPDIR", &build);
    cargo.folder = checkout.to_path_buf();

    let daemon = Daemon::new(state, DOWNLOAD);
    let mut child = daemon.start(&cargo, &Account::current())?;
    let ended = interrupt.wait(TIMEOUT, || Ok(child.try_wait()?));
    daemon.stop(Signal::TERM)?;
    let _ = fs::remove_dir_all(&build);
    match ended? {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(daemon.ended(Some(status))),
        None => bail!(
            "not done within {TIMEOUT:?}: see {}",
            daemon.log().display()
        ),
    }
}

/// Tries to connect, unless that is a proxy's business.
fn must_be_reachable() -> Result<()> {
    let proxies = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    if proxies.iter().any(|name| env::var_os(name).is_some()) {
        return Ok(());
    }
    let host = ARCHIVE_HOST.0;
    let mut addresses = ARCHIVE_HOST
        .to_socket_addrs()
        .with_context(|| format!("looking up {host}"))?;
    // One address: the host has as many as there is time to wait for.
    let address = addresses
        .next()
        .with_context(|| format!("{host} has no address"))?;
    TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)
        .with_context(|| format!("connecting to {host}"))?;
    Ok(())
}
