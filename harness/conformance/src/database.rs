//! The database of a contender: rows are inserted and changed, its statistics are read, and every way
//! it can fail is caused.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use schema::Profile;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, Executor};
use tokio::sync::oneshot;

use testbed::postgres::TemporaryPostgres;

/// The name that tells the harness's own connections from the contender's.
const APPLICATION: &str = "harness";

/// Timeout of one statement of the harness: it waits for nothing but an open transaction of a contender.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// Timeout of the end of connections that were cut.
const CUT_TIMEOUT: Duration = Duration::from_secs(5);

/// Interval at which the end of connections is polled.
const CUT_INTERVAL: Duration = Duration::from_millis(2);

/// The contender's database.
#[derive(Debug)]
pub struct Database {
    options: PgConnectOptions,
    /// The server's process, if it is the harness's own.
    server: Option<Mutex<TemporaryPostgres>>,
    lock: Mutex<()>,
}

impl Database {
    /// Connects to the seeded database at a URL.
    ///
    /// # Errors
    /// The URL is invalid, no server answers, or there is no table `users`.
    pub fn at(url: &str) -> Result<Self> {
        let options: PgConnectOptions = url.parse().context("the URL of the database")?;
        let database = Self {
            options: options.application_name(APPLICATION),
            server: None,
            lock: Mutex::default(),
        };
        database.lock().scans()?;
        Ok(database)
    }

    /// Connects to the seeded database of a server of the harness's own.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn of(server: TemporaryPostgres) -> Result<Self> {
        let database = Self::at(&testbed::terminal::postgres_url(server.port()))?;
        Ok(Self {
            server: Some(Mutex::new(server)),
            ..database
        })
    }

    /// Returns true if its server can be stopped.
    pub(crate) fn is_own(&self) -> bool {
        self.server.is_some()
    }

    /// Waits until no other check uses the database.
    pub fn lock(&self) -> Guard<'_> {
        let guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        Guard {
            database: self,
            _guard: guard,
        }
    }

    fn run<T>(
        &self,
        action: &'static str,
        work: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
    ) -> Result<T> {
        let work = async {
            let mut connection = self.options.connect().await?;
            let done = work(&mut connection).await?;
            connection.close().await?;
            Ok(done)
        };
        let done: Result<sqlx::Result<T>, _> =
            runtime()?.block_on(async { tokio::time::timeout(STATEMENT_TIMEOUT, work).await });
        done.map_err(anyhow::Error::from)
            .and_then(|done| done.map_err(Into::into))
            .with_context(|| format!("{action} in the contender's database"))
    }
}

/// Exclusive use of the database.
#[derive(Debug)]
pub struct Guard<'a> {
    database: &'a Database,
    _guard: MutexGuard<'a, ()>,
}

impl Guard<'_> {
    /// Inserts rows, which are removed when the result is dropped.
    ///
    /// # Errors
    /// The statement fails.
    pub fn insert(&self, profiles: &[Profile]) -> Result<Rows<'_>> {
        let insert = "INSERT INTO users (id, name, email, address, city, country) \
                      VALUES ($1, $2, $3, $4, $5, $6)";
        self.database.run("inserting users", async |connection| {
            for row in profiles {
                query(insert, row).execute(&mut *connection).await?;
            }
            Ok(())
        })?;
        Ok(Rows {
            database: self.database,
            ids: profiles.iter().map(|row| row.id.clone()).collect(),
        })
    }

    /// Changes the row with this id.
    ///
    /// # Errors
    /// The statement fails, or there is no such row.
    pub fn update(&self, row: &Profile) -> Result<()> {
        let update = "UPDATE users SET name = $2, email = $3, address = $4, city = $5, \
                      country = $6 WHERE id = $1";
        let changed = self.database.run("changing a user", async |connection| {
            query(update, row).execute(connection).await
        })?;
        ensure!(changed.rows_affected() == 1, "there is no user {}", row.id);
        Ok(())
    }

    /// Counts the scans of the table since the database was created. A connection reports its scans when
    /// it ends at the latest, so cut connections first.
    ///
    /// # Errors
    /// The statement fails, or there is no such table.
    pub fn scans(&self) -> Result<i64> {
        self.database.run("counting scans", async |connection| {
            let scans = "SELECT seq_scan + coalesce(idx_scan, 0) FROM pg_stat_user_tables \
                         WHERE relname = 'users'";
            sqlx::query_scalar(scans).fetch_one(connection).await
        })
    }

    /// Counts the connections of the contender.
    ///
    /// # Errors
    /// The statement fails.
    pub(crate) fn connections(&self) -> Result<i64> {
        let count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                     AND backend_type = 'client backend' AND application_name <> $1";
        self.database
            .run("counting connections", async |connection| {
                let query = sqlx::query_scalar(count).bind(APPLICATION);
                query.fetch_one(connection).await
            })
    }

    /// Ends all connections of the contender and waits until they are gone. It waits for closed
    /// connections of the harness too: their scans are reported only a moment after they were closed.
    ///
    /// # Errors
    /// The statement fails, or the connections do not end.
    pub fn cut(&self) -> Result<()> {
        let cut = "SELECT CASE WHEN application_name <> $1 THEN pg_terminate_backend(pid) END \
                   FROM pg_stat_activity WHERE datname = current_database() \
                   AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
        self.database
            .run("cutting connections", async |connection| {
                let deadline = Instant::now() + CUT_TIMEOUT;
                while Instant::now() < deadline {
                    let query = sqlx::query(cut).bind(APPLICATION);
                    let left = query.execute(&mut *connection).await?;
                    if left.rows_affected() == 0 {
                        return Ok(());
                    }
                    tokio::time::sleep(CUT_INTERVAL).await;
                }
                Err(sqlx::Error::PoolTimedOut)
            })
    }

    /// Locks the table of users until the result is dropped: every statement on it waits.
    ///
    /// # Errors
    /// The statement fails.
    pub fn lock_table(&self) -> Result<TableLock> {
        let options = self.database.options.clone();
        let (release, released) = oneshot::channel::<()>();
        let (sender, locked) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || -> Result<()> {
            runtime()?.block_on(async {
                let mut connection = options.connect().await?;
                let mut transaction = connection.begin().await?;
                let lock = "LOCK TABLE users IN ACCESS EXCLUSIVE MODE";
                transaction.execute(lock).await?;
                let _ = sender.send(());
                // The sender of this channel is dropped to release the table.
                let _ = released.await;
                transaction.rollback().await?;
                Ok(connection.close().await?)
            })
        });
        if locked.recv_timeout(STATEMENT_TIMEOUT).is_ok() {
            return Ok(TableLock {
                release: Some(release),
                thread: Some(thread),
            });
        }
        drop(release);
        let ended = thread.join().unwrap_or(Ok(()));
        ended
            .and_then(|()| anyhow::bail!("no lock within {STATEMENT_TIMEOUT:?}"))
            .context("locking the table of users")
    }

    /// Runs `check` while the server is stopped.
    ///
    /// # Errors
    /// The server is not the harness's own, or does not stop or start.
    pub fn while_stopped<T>(&self, check: impl FnOnce() -> T) -> Result<T> {
        let server = self.database.server.as_ref();
        let server = server.context("the server of Postgres is not the harness's own")?;
        let mut server = server.lock().unwrap_or_else(PoisonError::into_inner);
        server.stop()?;
        let checked = check();
        server.start_again()?;
        Ok(checked)
    }
}

/// Inserted rows, which are removed when this is dropped.
#[derive(Debug)]
pub struct Rows<'a> {
    database: &'a Database,
    ids: Vec<String>,
}

impl Drop for Rows<'_> {
    fn drop(&mut self) {
        let removed = self.database.run("removing users", async |connection| {
            let query = sqlx::query("DELETE FROM users WHERE id = ANY($1)").bind(&self.ids);
            query.execute(connection).await
        });
        if let Err(error) = removed {
            eprintln!("check: {error:#}");
        }
    }
}

/// A locked table, which is released when this is dropped.
#[derive(Debug)]
pub struct TableLock {
    release: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Drop for TableLock {
    fn drop(&mut self) {
        drop(self.release.take());
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(Err(error))) => eprintln!("check: releasing the table of users: {error:#}"),
            Some(Err(_)) => eprintln!("check: the thread that locked the table of users panicked"),
            Some(Ok(Ok(()))) | None => {}
        }
    }
}

/// Binds all columns of a row.
fn query<'q>(
    statement: &'static str,
    row: &'q Profile,
) -> sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments> {
    sqlx::query(statement)
        .bind(&row.id)
        .bind(&row.name)
        .bind(&row.email)
        .bind(&row.address)
        .bind(&row.city)
        .bind(&row.country)
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting a runtime for the database")
}
