//! A private cluster: made, started, seeded.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use schema::env::{DB_PASSWORD, DB_USER, bench_value};
use schema::limits::POSTGRES_MAX_CONNECTIONS;

use super::binaries::Server;
use super::seed::seed;
use crate::account::Account;
use crate::interrupt::Interrupt;
use crate::process::{Daemon, Output, Process, Program, Watchdog};

/// Signal for a "fast" shutdown: connections are ended, the data is written.
pub const FAST_SHUTDOWN: Signal = Signal::INT;

/// Time for `initdb`, which takes about a second, on a busy machine.
const INITDB_TIMEOUT: Duration = Duration::from_secs(120);

/// Time from start to the first connection, recovery after a crash included.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Time for a fast shutdown.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// A cluster in a folder, the server that runs it and the user that owns it.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Parent of the data folder; the user of Postgres must be able to enter it.
    folder: PathBuf,
    server: Server,
    account: Account,
}

impl Cluster {
    /// Names the cluster in `folder`, which may exist or not.
    pub fn new(folder: &Path, server: Server, account: Account) -> Self {
        let folder = folder.to_path_buf();
        Self {
            folder,
            server,
            account,
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Makes the cluster unless it exists, complete, owned by the user, and of the major version of
    /// the server. It is made in another folder and renamed, so that an existing one is complete.
    ///
    /// # Errors
    /// Interrupted, or `initdb` fails.
    pub fn ensure(&self, interrupt: &Interrupt, watchdog: &Arc<Watchdog>) -> Result<()> {
        let data = self.data();
        match self.flaw() {
            None => return Ok(()),
            Some(flaw) if data.exists() => eprintln!(
                "postgres: the cluster {flaw}: its only content is the seed row, making a new one"
            ),
            Some(_) => {}
        }
        let begun = Instant::now();
        let new = self.folder.join("data.new");
        remove_if_there(&new)?;
        remove_if_there(&data)?;
        let mut private = DirBuilder::new();
        private
            .mode(0o700)
            .create(&new)
            .with_context(|| format!("making {}", new.display()))?;
        self.account.own(&new)?;
        let password = self.password_file()?;

        let initdb = self
            .program("initdb")
            .argument("--no-sync")
            .argument("--auth=scram-sha-256")
            .argument("--encoding=UTF8")
            .argument("--locale=C")
            .argument(format!("--username={}", bench_value(&DB_USER)))
            .argument("--pwfile")
            .argument(&password)
            .argument("--pgdata")
            .argument(&new);
        let log = Output::Log(self.folder.join("initdb.log"));
        let stop = (Signal::TERM, STOP_TIMEOUT);
        let mut initdb = Process::start("initdb", &initdb, log, stop, watchdog)?;
        let status = initdb.wait_within(INITDB_TIMEOUT, interrupt);
        initdb.stop()?;
        let _ = fs::remove_file(&password);
        match status? {
            Some(status) if status.success() => {}
            Some(_) => return Err(initdb.ended()),
            None => bail!("initdb takes longer than {INITDB_TIMEOUT:?}"),
        }
        fs::rename(&new, &data)
            .with_context(|| format!("renaming {} to {}", new.display(), data.display()))?;
        eprintln!(
            "postgres: made a cluster of PostgreSQL {} in {:.1} s",
            self.server.version,
            begun.elapsed().as_secs_f32()
        );
        Ok(())
    }

    /// Returns why the cluster cannot be used, to end the sentence "the cluster …".
    fn flaw(&self) -> Option<String> {
        let data = self.data();
        let Ok(major) = fs::read_to_string(data.join("PG_VERSION")) else {
            return Some("is incomplete".to_owned());
        };
        let (major, version) = (major.trim_end(), &self.server.version);
        if major != self.server.major.to_string() {
            return Some(format!("is of PostgreSQL {major}, the server {version}"));
        }
        let owned = self.account.owns(&data);
        (!owned).then(|| "belongs to another user".to_owned())
    }

    /// Writes the password of the superuser for `initdb`, readable only by the user of Postgres.
    fn password_file(&self) -> Result<PathBuf> {
        let path = self.folder.join("password");
        remove_if_there(&path)?;
        let mut private = OpenOptions::new();
        private.write(true).create_new(true).mode(0o600);
        private
            .open(&path)
            .and_then(|mut file: File| writeln!(file, "{}", bench_value(&DB_PASSWORD)))
            .with_context(|| format!("writing {}", path.display()))?;
        self.account.own(&path)?;
        Ok(path)
    }

    /// Starts the server as a daemon and waits until it is seeded. After a failure nothing runs.
    ///
    /// # Errors
    /// Interrupted, or the server does not come up.
    pub fn start(&self, daemon: &Daemon, port: u16, interrupt: &Interrupt) -> Result<()> {
        self.remove_locks_of_a_killed_server()?;
        let mut child = daemon.start(&self.postgres(port))?;
        let seeded = wait_until_seeded(port, interrupt, || {
            let status = child.try_wait()?;
            Ok(status.map(|status| daemon.ended(Some(status))))
        });
        if seeded.is_err() {
            daemon.stop(FAST_SHUTDOWN)?;
        }
        seeded
    }

    /// Starts the server as a process that ends with the harness, and waits until it is seeded.
    ///
    /// # Errors
    /// The server does not come up.
    pub(super) fn start_supervised(&self, port: u16, watchdog: &Arc<Watchdog>) -> Result<Process> {
        self.remove_locks_of_a_killed_server()?;
        let log = Output::Log(self.folder.join("postgres.log"));
        let stop = (FAST_SHUTDOWN, STOP_TIMEOUT);
        let process = Process::start("postgres", &self.postgres(port), log, stop, watchdog)?;
        wait_until_seeded(port, &Interrupt::never(), || {
            Ok(process.has_exited()?.then(|| process.ended()))
        })?;
        Ok(process)
    }

    /// Removes the files with the process id of a killed server, which another process may have by
    /// now. No server of this cluster runs: the caller supervises it, or holds its lock.
    fn remove_locks_of_a_killed_server(&self) -> Result<()> {
        let data = self.data();
        let entries = fs::read_dir(&data).with_context(|| format!("reading {}", data.display()))?;
        for entry in entries.flatten() {
            let name = entry.file_name();
            if name == "postmaster.pid" || name.as_encoded_bytes().starts_with(b".s.PGSQL.") {
                remove_if_there(&entry.path())?;
            }
        }
        Ok(())
    }

    fn program(&self, name: &str) -> Program {
        Program::new(self.server.bin.join(name))
            .account(&self.account)
            .variable("LC_ALL", "C")
    }

    fn postgres(&self, port: u16) -> Program {
        let settings = [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={port}"),
            // Relative to the data folder: the path of a socket is limited to 107 bytes.
            "unix_socket_directories=.".to_owned(),
            format!("max_connections={POSTGRES_MAX_CONNECTIONS}"),
            // No durability: the only content is the seed row.
            "fsync=off".to_owned(),
            "synchronous_commit=off".to_owned(),
            "full_page_writes=off".to_owned(),
            // Some distributions collect the log inside the data folder by default.
            "logging_collector=off".to_owned(),
        ];
        let server = self
            .program("postgres")
            .argument("-D")
            .argument(self.data());
        settings.into_iter().fold(server, |server, setting| {
            server.argument("-c").argument(setting)
        })
    }
}

/// Waits until the server takes connections, and seeds it.
fn wait_until_seeded(
    port: u16,
    interrupt: &Interrupt,
    mut ended: impl FnMut() -> Result<Option<anyhow::Error>>,
) -> Result<()> {
    let seeded = interrupt.wait(START_TIMEOUT, || match ended()? {
        None => Ok(seed(port)?.then_some(())),
        Some(error) => Err(error.context(
            "PostgreSQL did not start; `harness down --purge` removes its cluster, and the next \
             start makes a new one",
        )),
    })?;
    seeded.with_context(|| {
        format!("PostgreSQL took no connection on port {port} within {START_TIMEOUT:?}")
    })
}

fn remove_if_there(path: &Path) -> Result<()> {
    let removed = match path.symlink_metadata() {
        Err(_) => return Ok(()),
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    removed.with_context(|| format!("removing {}", path.display()))
}
