//! The database of `GET /users/me`, over sqlx's connections. Beside what [`Pool`] promises:
//!
//! - A deadline for having a connection, the wait for a place and the opening included, and one for
//!   the statement.
//! - A connection is put back only after a statement that succeeded to its end.
//! - Postgres may close what is idle, all of it when it is restarted. A statement that finds its kept
//!   connection so is sent again on another, a fresh one in the end: it only reads.
//! - While Postgres takes no connections, one task tries, after a pause that grows, and calls wait for
//!   its news until their deadlines. It is no call's: one that waited longest has the least time left,
//!   and would give up before it has tried.

use std::time::Duration;

use schema::limits::{DB_ACQUIRE_TIMEOUT, DB_STATEMENT_TIMEOUT};
use schema::{Profile, sql};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::super::database;
use super::pool::Pool;
use crate::config::DatabaseConfig;
use crate::error::Error;

/// Idle connections hold a process of Postgres each; sqlx's pool drops them after this time too.
const IDLE_TIMEOUT: Duration = Duration::from_secs(600);

/// The first pause before Postgres is tried again.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// The longest: it is found again within a second of its return.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// One worker's connections to Postgres.
pub(crate) struct Users {
    pool: Pool<PgConnection>,
    options: PgConnectOptions,
    /// Whether Postgres takes no connections, and a task looks for it.
    is_away: watch::Sender<bool>,
}

impl Users {
    pub(crate) fn new(config: &DatabaseConfig, connections: usize) -> Self {
        Self {
            pool: Pool::new(connections, IDLE_TIMEOUT),
            options: database::options(config),
            is_away: watch::Sender::new(false),
        }
    }

    pub(crate) async fn find(&self, id: &str) -> Result<Option<Profile>, Error> {
        let deadline = Instant::now() + DB_ACQUIRE_TIMEOUT;
        let place = in_time(deadline, self.pool.place()).await?;
        loop {
            let kept = place.take();
            let is_kept = kept.is_some();
            let mut connection = match kept {
                Some(connection) => connection,
                None => {
                    // In a box: it is seldom and large, and every call that waits would carry it.
                    let opened = in_time(deadline, Box::pin(self.open())).await?;
                    opened.map_err(database::unavailable)?
                }
            };
            let select = sqlx::query_as(sql::SELECT_USER)
                .bind(id)
                .fetch_optional(&mut connection);
            match timeout(DB_STATEMENT_TIMEOUT, select).await {
                Ok(Ok(profile)) => {
                    place.put_back(connection);
                    return Ok(profile);
                }
                Ok(Err(error)) if is_kept && database::is_lost(&error) => {}
                Ok(Err(error)) => return Err(database::failed(error)),
                Err(_) => return Err(database::unavailable("the statement took too long")),
            }
        }
    }

    /// A new connection, as soon as Postgres takes one.
    async fn open(&self) -> sqlx::Result<PgConnection> {
        let mut is_away = self.is_away.subscribe();
        loop {
            let news = is_away.wait_for(|is_away| !is_away).await;
            drop(news.expect("the sender is our own"));
            match self.options.connect().await {
                Err(error) if database::is_away(&error) => self.look_for_it(&error),
                opened => return opened,
            }
        }
    }

    /// Starts the one task, unless it is at work.
    fn look_for_it(&self, error: &sqlx::Error) {
        if self.is_away.send_replace(true) {
            return;
        }
        tracing::warn!(%error, "Postgres takes no connections, trying again");
        let (options, is_away) = (self.options.clone(), self.is_away.clone());
        tokio::spawn(async move {
            let mut pause = PAUSE_MIN;
            loop {
                sleep(pause).await;
                pause = (2 * pause).min(PAUSE_MAX);
                match timeout(DB_ACQUIRE_TIMEOUT, options.connect()).await {
                    Ok(Err(error)) if database::is_away(&error) => {}
                    // It took too long.
                    Err(_) => {}
                    Ok(_) => break,
                }
            }
            is_away.send_replace(false);
        });
    }
}

async fn in_time<T>(deadline: Instant, step: impl Future<Output = T>) -> Result<T, Error> {
    let done = timeout_at(deadline, step).await;
    done.map_err(|_| database::unavailable("no connection was free or could be opened in time"))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;

    /// Beside it, a connection of a client takes some 15 KiB.
    #[tokio::test]
    async fn a_call_that_waits_takes_less_than_a_kibibyte() {
        let config = DatabaseConfig {
            host: String::new(),
            port: 0,
            name: String::new(),
            user: String::new(),
            password: String::new(),
            pool_size: NonZeroUsize::MIN,
        };
        let users = Users::new(&config, 1);
        let size = size_of_val(&users.find("id"));
        assert!(size < 1024, "{size} bytes");
    }
}
