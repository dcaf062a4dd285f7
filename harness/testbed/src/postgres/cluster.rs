//! A private cluster: made, started, seeded.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::Signal;
use schema::env::{DB_PASSWORD, DB_USER, bench_value};
use schema::limits::POSTGRES_MAX_CONNECTIONS;

use super::find::Server;
use super::seed::seed;
use crate::account::Account;
use crate::daemon::Daemon;
use crate::interrupt::Interrupt;
use crate::program::Program;

/// Signal for a "fast" shutdown: connections are ended, the data is written.
pub const FAST_SHUTDOWN: Signal = Signal::INT;

/// Name of the daemon that makes a cluster.
pub const INITDB: &str = "initdb";

/// Time for `initdb`, which takes about a second, on a busy machine.
const INITDB_TIMEOUT: Duration = Duration::from_secs(120);

/// Time from start to the first connection, recovery after a crash included.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A cluster in a folder, the server that runs it and the user that owns it.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Parent of the data folder; the user of Postgres must be able to enter it.
    folder: PathBuf,
    server: Server,
    account: Account,
    initdb: Daemon,
}

impl Cluster {
    /// The cluster in `folder`, whether it is there yet or not. `initdb` keeps its lock and its
    /// log in `state`.
    pub fn new(folder: &Path, state: &Path, server: Server, account: Account) -> Self {
        Self {
            folder: folder.to_path_buf(),
            server,
            account,
            initdb: Daemon::new(state, INITDB),
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Makes the cluster unless it is there, whole, ours, and of the server's major version. It is made
    /// aside and renamed, so that what is there is whole. `started` is told the process id of
    /// `initdb`.
    ///
    /// # Errors
    /// Interrupted, or `initdb` fails.
    pub fn ensure(&self, interrupt: &Interrupt, mut started: impl FnMut(u32)) -> Result<()> {
        let data = self.data();
        match self.flaw() {
            None => return Ok(()),
            Some(flaw) if data.exists() => eprintln!(
                "postgres: the cluster {flaw}: it only holds the seed row and is made anew"
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

        let initdb = Program::new(self.server.bin.join("initdb"))
            .variable("LC_ALL", "C")
            .argument("--no-sync")
            .argument("--auth=scram-sha-256")
            .argument("--encoding=UTF8")
            .argument("--locale=C")
            .argument(format!("--username={}", bench_value(&DB_USER)))
            .argument("--pwfile")
            .argument(&password)
            .argument("--pgdata")
            .argument(&new);
        let mut child = self.initdb.start(&initdb, &self.account)?;
        started(child.id());
        let ended = interrupt.wait(INITDB_TIMEOUT, || Ok(child.try_wait()?));
        self.initdb.stop(Signal::TERM)?;
        let _ = fs::remove_file(&password);
        match ended? {
            Some(status) if status.success() => {}
            Some(status) => return Err(self.initdb.ended(Some(status))),
            None => bail!("initdb took longer than {INITDB_TIMEOUT:?}"),
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

    /// Why the cluster cannot be used, as it ends the sentence "the cluster …".
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

    /// The superuser's password for `initdb`, readable by the user of Postgres alone.
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

    /// Starts the server as `daemon` and waits until it is seeded. `started` is told its process
    /// id. On failure nothing runs.
    ///
    /// # Errors
    /// Interrupted, or the server does not come up.
    pub fn start(
        &self,
        daemon: &Daemon,
        port: u16,
        interrupt: &Interrupt,
        started: impl FnOnce(u32),
    ) -> Result<Child> {
        self.remove_locks_of_a_killed_server()?;
        let mut child = daemon.start(&self.program(port), &self.account)?;
        started(child.id());
        let seeded = interrupt.wait(START_TIMEOUT, || match child.try_wait()? {
            None => Ok(seed(port)?.then_some(())),
            Some(status) => Err(daemon.ended(Some(status)).context(
                "PostgreSQL did not start; `harness down --purge` removes its cluster, and the \
                 next start makes a new one",
            )),
        });
        let seeded = seeded.and_then(|seeded| {
            seeded.ok_or_else(|| {
                anyhow!("PostgreSQL took no connection on port {port} within {START_TIMEOUT:?}")
            })
        });
        if seeded.is_err() {
            daemon.stop(FAST_SHUTDOWN)?;
        }
        seeded.map(|()| child)
    }

    /// A server that was killed leaves files with its process id, which another process may have by
    /// now. That none of this cluster lives is certain by the daemon's lock.
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

    fn program(&self, port: u16) -> Program {
        let settings = [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={port}"),
            // Relative to the data folder: a socket's path must be short, the checkout's may not be.
            "unix_socket_directories=.".to_owned(),
            format!("max_connections={POSTGRES_MAX_CONNECTIONS}"),
            // No durability: the cluster only holds the seed row.
            "fsync=off".to_owned(),
            "synchronous_commit=off".to_owned(),
            "full_page_writes=off".to_owned(),
            // Some distributions collect the log inside the data folder by default.
            "logging_collector=off".to_owned(),
        ];
        let server = Program::new(self.server.bin.join("postgres"))
            .variable("LC_ALL", "C")
            .argument("-D")
            .argument(self.data());
        settings.into_iter().fold(server, |server, setting| {
            server.argument("-c").argument(setting)
        })
    }
}

fn remove_if_there(path: &Path) -> Result<()> {
    let removed = match path.symlink_metadata() {
        Err(_) => return Ok(()),
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    removed.with_context(|| format!("removing {}", path.display()))
}
