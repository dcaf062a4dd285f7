//! A private, seeded server for a test or a check.

use std::env;
use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rustix::process::Pid;

use super::binaries::server;
use super::cluster::Cluster;
use super::folder::{ENTERED_BY_ALL, OPEN_FOLDER};
use crate::account::Account;
use crate::interrupt::Interrupt;
use crate::port::Kept;
use crate::process::{Process, Watchdog};

/// A Postgres server on a port of 127.0.0.1, with the seed row. It is stopped and its folder
/// removed when it is dropped, and also when the process that started it is killed.
///
/// All calls block, the first for about a second.
#[derive(Debug)]
pub struct TemporaryPostgres {
    cluster: Cluster,
    port: Kept,
    server: Option<Process>,
    watchdog: Arc<Watchdog>,
    folder: PathBuf,
}

impl TemporaryPostgres {
    /// Makes a cluster, starts it on a free port and seeds it.
    ///
    /// # Errors
    /// The server cannot be downloaded, or does not come up.
    pub fn start() -> Result<Self> {
        Self::start_on(0)
    }

    /// Makes a cluster, starts it on this port and seeds it.
    ///
    /// # Errors
    /// The server cannot be downloaded, the port is in use, or the server does not come up.
    pub fn start_on(port: u16) -> Result<Self> {
        let port = Kept::new((Ipv4Addr::LOCALHOST, port).into())?;
        let never = Interrupt::never();
        let server = server(&never)?;
        let account = Account::for_postgres()?;
        let folder = new_folder(&account)?;
        let watchdog = Watchdog::new(Some(&folder))?;
        let cluster = Cluster::new(&folder, server, account);
        cluster.ensure(&never, &watchdog)?;
        let mut postgres = Self {
            cluster,
            port,
            server: None,
            watchdog,
            folder,
        };
        postgres.start_again()?;
        Ok(postgres)
    }

    /// Returns the host for `DB_HOST`.
    #[must_use]
    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    /// Returns the port, which stays the same over stops.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address().port()
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Returns the folder of the cluster and its logs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the id of the postmaster; none while it is stopped.
    pub fn root(&self) -> Option<Pid> {
        self.server.as_ref().map(Process::pid)
    }

    /// Stops it and ends its connections; the data stays. Does nothing if it is stopped.
    ///
    /// # Errors
    /// It survives SIGKILL.
    pub fn stop(&mut self) -> Result<()> {
        self.server
            .take()
            .map_or(Ok(()), |mut server| server.stop())
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
        let server = self.cluster.start_supervised(self.port(), &self.watchdog)?;
        self.server = Some(server);
        Ok(())
    }
}

/// Makes a folder that the user of Postgres can enter.
fn new_folder(account: &Account) -> Result<PathBuf> {
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
        // The umask may have removed permissions.
        fs::set_permissions(&folder, Permissions::from_mode(ENTERED_BY_ALL))
            .with_context(|| format!("opening {}", folder.display()))?;
        return Ok(folder);
    }
    anyhow::bail!("the user of Postgres can enter no folder for temporary files")
}
