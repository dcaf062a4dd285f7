//! A private, seeded server for a test.

use std::env;
use std::fs::{self, Permissions};
use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::base::{ENTERED_BY_ALL, OPEN_FOLDER};
use super::cluster::{Cluster, FAST_SHUTDOWN};
use super::obtain;
use crate::account::Account;
use crate::daemon::Daemon;
use crate::interrupt::Interrupt;
use crate::port::free_port;

/// Reads the process id of what runs (or nothing) line by line. When the test process is gone, in
/// whatever way, ends what ran last and removes the folder.
const WATCHDOG: &str = r#"
while read -r line; do pid=$line; done
if [ -n "$pid" ]; then
    kill -INT "$pid"
    tries=0
    while kill -0 "$pid" && [ "$tries" -lt 100 ]; do
        tries=$((tries + 1))
        sleep 0.05
    done
    kill -KILL "$pid"
fi 2>/dev/null
rm -rf "$0"
"#;

/// A Postgres server of one's own on a free port of 127.0.0.1, with the seed row, found or got as
/// by `harness up`. It is stopped and its folder removed when it is dropped, and also when the test
/// process is killed.
///
/// All calls block, for about a second the first.
#[derive(Debug)]
pub struct TemporaryPostgres {
    cluster: Cluster,
    daemon: Daemon,
    port: u16,
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
        cluster.ensure(&never, |pid| watchdog.watch(Some(pid)))?;
        watchdog.watch(None);
        let mut postgres = Self {
            cluster,
            daemon: Daemon::new(&folder, "postgres"),
            port: free_port()?,
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
        self.port
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The folder that holds all of it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Stops it, ending its connections; the data stays. Does nothing if it does not run.
    ///
    /// # Errors
    /// It does not end.
    pub fn stop(&mut self) -> Result<()> {
        self.daemon.stop(FAST_SHUTDOWN)?;
        self.watchdog.watch(None);
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
            self.port
        );
        let watch = |pid| self.watchdog.watch(Some(pid));
        let never = Interrupt::never();
        let server = self.cluster.start(&self.daemon, self.port, &never, watch)?;
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

/// A shell in a process group of its own that outlives this process for a moment.
#[derive(Debug)]
struct Watchdog {
    shell: Child,
    /// Its end is the end of this process; taken only to end the watchdog.
    orders: Option<ChildStdin>,
}

impl Watchdog {
    fn start(folder: &Path) -> Result<Self> {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", WATCHDOG])
            .arg(folder)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .context("starting the watchdog of a temporary Postgres")?;
        let orders = shell.stdin.take();
        Ok(Self { shell, orders })
    }

    /// Says what to end when this process is gone.
    fn watch(&mut self, pid: Option<u32>) {
        let line = pid.map_or_else(String::new, |pid| pid.to_string());
        if let Some(orders) = &mut self.orders
            && let Err(error) = writeln!(orders, "{line}")
        {
            eprintln!("postgres: the watchdog is gone: {error}");
        }
    }
}

impl Drop for Watchdog {
    /// Lets it clean up, and waits until it has.
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.shell.wait();
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
