//! A private, seeded server for a test.

use std::env;
use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Child;

use anyhow::{Context, Result, ensure};
use rustix::process::Pid;

use super::base::{ENTERED_BY_ALL, OPEN_FOLDER};
use super::cluster::{Cluster, FAST_SHUTDOWN};
use super::obtain;
use crate::account::Account;
use crate::daemon::Daemon;
use crate::interrupt::Interrupt;
use crate::port::Kept;
use crate::watchdog::Watchdog;

/// A Postgres server of one's own on a free port of 127.0.0.1, with the seed row, found or got as
/// by `harness up`. It is stopped and its folder removed when it is dropped, and also when the test
/// process is killed.
///
/// All calls block, for about a second the first.
#[derive(Debug)]
pub struct TemporaryPostgres {
    cluster: Cluster,
    daemon: Daemon,
    port: Kept,
    server: Option<Child>,
    watchdog: Watchdog,
    folder: PathBuf,
}

impl TemporaryPostgres {
    /// Makes a cluster, starts it and seeds it.
    ///
    /// # Errors
    /// No server is found or got, or it does not come up.
    pub fn start() -> Result<Self> {
        let never = Interrupt::never();
        let server = obtain::shared_server(&never)?;
        let account = Account::for_postgres()?;
        let folder = folder(&account)?;
        let mut watchdog = Watchdog::start(&folder)?;
        let cluster = Cluster::new(&folder, &folder, server, account);
        cluster.ensure(&never, |pid| watchdog.watch(pid))?;
        watchdog.rest();
        let mut postgres = Self {
            cluster,
            daemon: Daemon::new(&folder, "postgres"),
            port: Kept::new((Ipv4Addr::LOCALHOST, 0).into())?,
            server: None,
            watchdog,
            folder,
        };
        postgres.start_again()?;
        Ok(postgres)
    }

    /// Where it listens: a name for `DB_HOST`.
    #[must_use]
    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    /// Where it listens: the same port over its whole life.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address().port()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The folder that holds all of it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The process that all of it descends from; none while it is stopped.
    pub fn root(&self) -> Option<Pid> {
        self.server.as_ref().map(Pid::from_child)
    }

    /// Stops it, ending its connections; the data stays. Does nothing if it does not run.
    ///
    /// # Errors
    /// It does not end.
    pub fn stop(&mut self) -> Result<()> {
        self.daemon.stop(FAST_SHUTDOWN)?;
        self.watchdog.rest();
        if let Some(mut server) = self.server.take() {
            server.wait().context("waiting for Postgres to end")?;
        }
        Ok(())
    }

    /// Starts it again on the same port with the same data.
    ///
    /// # Errors
    /// It runs already, or does not come up.
    pub fn start_again(&mut self) -> Result<()> {
        ensure!(
            self.server.is_none(),
            "Postgres runs already on port {}",
            self.port()
        );
        let port = self.port();
        let watch = |pid| self.watchdog.watch(pid);
        let never = Interrupt::never();
        let server = self.cluster.start(&self.daemon, port, &never, watch)?;
        self.server = Some(server);
        Ok(())
    }
}

impl Drop for TemporaryPostgres {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("postgres: {error:#}");
        }
    }
}

/// A new folder that the user of Postgres can enter.
fn folder(account: &Account) -> Result<PathBuf> {
    for parent in [env::temp_dir(), PathBuf::from(OPEN_FOLDER)] {
        if !account.can_enter(&parent)? {
            continue;
        }
        let made = tempfile::Builder::new()
            .prefix("suite-test-")
            .permissions(Permissions::from_mode(ENTERED_BY_ALL))
            .tempdir_in(&parent);
        let folder = match made {
            Ok(folder) => folder.keep(),
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("making a folder in {}", parent.display()));
            }
        };
        // Whatever the process's umask took away.
        fs::set_permissions(&folder, Permissions::from_mode(ENTERED_BY_ALL))
            .with_context(|| format!("opening {}", folder.display()))?;
        return Ok(folder);
    }
    anyhow::bail!("no folder for temporary files that the user of Postgres can enter")
}
