//! The database of a contender under check: rows are put into it and changed, its statistics are
//! read, and every way it can fail is brought about.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use schema::Profile;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, Executor};
use tokio::sync::oneshot;

use testbed::postgres::TemporaryPostgres;

/// How the harness's own connections are told from the contender's.
const APPLICATION: &str = "harness";

/// Time for one statement of the harness: it waits for nobody but a contender's open transaction.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time for the connections that were cut to be gone.
const CUT_TIMEOUT: Duration = Duration::from_secs(5);

/// The contender's connections: all of its database but ours.
const CONTENDERS_BACKENDS: &str = "FROM pg_stat_activity WHERE datname = current_database() \
     AND backend_type = 'client backend' AND application_name <> 'harness'";

/// The contender's database.
#[derive(Debug)]
pub struct Database {
    options: PgConnectOptions,
    /// The server's process, if it is the harness's own.
    server: Option<Mutex<TemporaryPostgres>>,
    turn: Mutex<()>,
}

impl Database {
    /// The database at this URL.
    ///
    /// # Errors
    /// It is not a URL, nobody answers, or it has no table `users`.
    pub fn at(url: &str) -> Result<Self> {
        let options: PgConnectOptions = url.parse().context("the URL of the database")?;
        let database = Self {
            options: options.application_name(APPLICATION),
            server: None,
            turn: Mutex::default(),
        };
        database.turn().scans()?;
        Ok(database)
    }

    /// The seeded database of a server of our own.
    ///
    /// # Errors
    /// As [`Database::at`].
    pub fn of(server: TemporaryPostgres) -> Result<Self> {
        let database = Self::at(&testbed::terminal::postgres_url(server.port()))?;
        Ok(Self {
            server: Some(Mutex::new(server)),
            ..database
        })
    }

    /// Whether its server can be stopped.
    pub fn is_own(&self) -> bool {
        self.server.is_some()
    }

    /// Waits until no other check uses it.
    pub fn turn(&self) -> Turn<'_> {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        Turn {
            database: self,
            _turn: turn,
        }
    }

    fn run<T>(
        &self,
        doing: &'static str,
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
            .with_context(|| format!("{doing} in the contender's database"))
    }
}

/// One check's turn with the database.
#[derive(Debug)]
pub struct Turn<'a> {
    database: &'a Database,
    _turn: MutexGuard<'a, ()>,
}

impl Turn<'_> {
    /// Inserts rows; they are removed when the guard is dropped.
    ///
    /// # Errors
    /// The server's.
    pub fn insert(&self, profiles: &[Profile]) -> Result<Rows<'_>> {
        self.database.run("inserting users", async |connection| {
            for row in profiles {
                let insert = "INSERT INTO users (id, name, email, address, city, country) \
                              VALUES ($1, $2, $3, $4, $5, $6)";
                sqlx::query(insert)
                    .bind(&row.id)
                    .bind(&row.name)
                    .bind(&row.email)
                    .bind(&row.address)
                    .bind(&row.city)
                    .bind(&row.country)
                    .execute(&mut *connection)
                    .await?;
            }
            Ok(())
        })?;
        Ok(Rows {
            database: self.database,
            ids: profiles.iter().map(|row| row.id.clone()).collect(),
        })
    }

    /// Gives the row of this id another content.
    ///
    /// # Errors
    /// The server's, or there is no such row.
    pub fn update(&self, row: &Profile) -> Result<()> {
        let changed = self.database.run("changing a user", async |connection| {
            let update = "UPDATE users SET name = $2, email = $3, address = $4, city = $5, \
                          country = $6 WHERE id = $1";
            sqlx::query(update)
                .bind(&row.id)
                .bind(&row.name)
                .bind(&row.email)
                .bind(&row.address)
                .bind(&row.city)
                .bind(&row.country)
                .execute(connection)
                .await
        })?;
        ensure!(changed.rows_affected() == 1, "there is no user {}", row.id);
        Ok(())
    }

    /// How often the table of users was read since the database was made, as far as its
    /// connections have told: one that ends tells all, so cut them first.
    ///
    /// # Errors
    /// The server's, or there is no such table.
    pub fn scans(&self) -> Result<i64> {
        self.database.run("counting scans", async |connection| {
            let scans = "SELECT seq_scan + coalesce(idx_scan, 0) FROM pg_stat_user_tables \
                         WHERE relname = 'users'";
            sqlx::query_scalar(scans).fetch_one(connection).await
        })
    }

    /// How many connections the contender has.
    ///
    /// # Errors
    /// The server's.
    pub fn connections(&self) -> Result<i64> {
        self.database
            .run("counting connections", async |connection| {
                let count = format!("SELECT count(*) {CONTENDERS_BACKENDS}");
                sqlx::query_scalar(sqlx::AssertSqlSafe(count))
                    .fetch_one(connection)
                    .await
            })
    }

    /// Ends all connections of the contender, and waits until they are gone. Those of the harness
    /// that have been closed are waited for too: a server tells what a connection has read only
    /// when it ends, a moment after it was closed.
    ///
    /// # Errors
    /// The server's, or they do not end.
    pub fn cut(&self) -> Result<()> {
        self.database
            .run("cutting connections", async |connection| {
                let cut = format!(
                    "SELECT CASE WHEN application_name <> '{APPLICATION}' \
                     THEN pg_terminate_backend(pid) END FROM pg_stat_activity \
                     WHERE datname = current_database() AND backend_type = 'client backend' \
                     AND pid <> pg_backend_pid()"
                );
                let deadline = Instant::now() + CUT_TIMEOUT;
                while Instant::now() < deadline {
                    let left = connection.execute(sqlx::AssertSqlSafe(cut.clone())).await?;
                    if left.rows_affected() == 0 {
                        return Ok(());
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                Err(sqlx::Error::PoolTimedOut)
            })
    }

    /// Locks the table of users until the guard is dropped: every statement on it waits.
    ///
    /// # Errors
    /// The server's.
    pub fn lock(&self) -> Result<Lock> {
        let options = self.database.options.clone();
        let (release, released) = oneshot::channel::<()>();
        let (tell, locked) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || -> Result<()> {
            runtime()?.block_on(async {
                let mut connection = options.connect().await?;
                let mut transaction = connection.begin().await?;
                let lock = "LOCK TABLE users IN ACCESS EXCLUSIVE MODE";
                transaction.execute(lock).await?;
                let _ = tell.send(());
                // A dropped guard releases as well as one that says so.
                let _ = released.await;
                transaction.rollback().await?;
                Ok(connection.close().await?)
            })
        });
        if locked.recv_timeout(STATEMENT_TIMEOUT).is_ok() {
            return Ok(Lock {
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
    /// The server is not ours, or does not stop or start.
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

/// Rows that are removed when this is dropped.
#[derive(Debug)]
pub struct Rows<'a> {
    database: &'a Database,
    ids: Vec<String>,
}

impl Drop for Rows<'_> {
    fn drop(&mut self) {
        let removed = self.database.run("removing users", async |connection| {
            sqlx::query("DELETE FROM users WHERE id = ANY($1)")
                .bind(&self.ids)
                .execute(connection)
                .await
        });
        if let Err(error) = removed {
            eprintln!("check: {error:#}");
        }
    }
}

/// A locked table.
#[derive(Debug)]
pub struct Lock {
    release: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Drop for Lock {
    fn drop(&mut self) {
        drop(self.release.take());
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(Err(error))) => eprintln!("check: releasing the table of users: {error:#}"),
            Some(Err(_)) => eprintln!("check: the thread that locked the table of users is gone"),
            Some(Ok(Ok(()))) | None => {}
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting a runtime for the database")
}
