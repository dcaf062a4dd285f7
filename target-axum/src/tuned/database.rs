//! Replaces `sqlx::PgPool`, which starts a task for each release of a connection and sends a ping in
//! it, by a [`Pool`] of sqlx's connections. With `service.rs` and `auth.rs` it saves 30 % of the CPU time of
//! `users-me`.
//!
//! Promises beside those of [`Pool`]: a connection is reused only after a statement that succeeded.
//! A statement that finds its reused connection lost is repeated on another one. While Postgres
//! accepts no connections, one background task tries again after growing pauses, and calls wait for
//! it until their deadlines: the call that waited longest has the least time left for trying.

use std::time::Duration;

use schema::limits::{DB_ACQUIRE_TIMEOUT, DB_STATEMENT_TIMEOUT};
use schema::{Profile, sql};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::pool::Pool;
use crate::config::DatabaseConfig;
use crate::database::{
    connect_options, failed, has_code, is_lost, set_up, unavailable, with_address,
};
use crate::error::Error;

/// An idle connection keeps a process of Postgres; the idle timeout is that of sqlx's pool.
const IDLE_TIMEOUT: Duration = Duration::from_secs(600);

/// The first pause before Postgres is tried again.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// The longest pause: requests succeed within a second of the return of Postgres.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// One worker's connections to Postgres.
pub(crate) struct Database {
    pool: Pool<PgConnection>,
    options: PgConnectOptions,
    /// True while Postgres accepts no connections and the background task runs.
    is_down: watch::Sender<bool>,
}

impl Database {
    pub(crate) fn new(config: &DatabaseConfig, connections: usize) -> Self {
        Self {
            pool: Pool::new(connections, IDLE_TIMEOUT),
            options: connect_options(config),
            is_down: watch::Sender::new(false),
        }
    }

    pub(crate) async fn find_user(&self, id: &str) -> Result<Option<Profile>, Error> {
        let deadline = Instant::now() + DB_ACQUIRE_TIMEOUT;
        let permit = within(deadline, self.pool.acquire()).await?;
        loop {
            let reused = permit.take();
            let is_reused = reused.is_some();
            let mut connection = match reused {
                Some(connection) => connection,
                None => {
                    // Boxed: it is rare and large, and every waiting call would carry it.
                    let opened = within(deadline, Box::pin(self.open())).await?;
                    opened.map_err(unavailable)?
                }
            };
            let select = sqlx::query_as(sql::SELECT_USER)
                .bind(id)
                .fetch_optional(&mut connection);
            match timeout(DB_STATEMENT_TIMEOUT, select).await {
                Ok(Ok(profile)) => {
                    permit.put_back(connection);
                    return Ok(profile);
                }
                Ok(Err(error)) if is_reused && is_lost(&error) => {}
                Ok(Err(error)) => return Err(failed(error)),
                Err(elapsed) => return Err(unavailable(elapsed)),
            }
        }
    }

    /// Opens a connection as soon as Postgres accepts one.
    async fn open(&self) -> sqlx::Result<PgConnection> {
        let mut is_down = self.is_down.subscribe();
        loop {
            let is_up = is_down.wait_for(|is_down| !is_down).await;
            drop(is_up.expect("`self` has the sender"));
            match connect(&self.options).await {
                Err(error) if is_temporary(&error) => self.try_again_in_background(&error),
                opened => return opened,
            }
        }
    }

    /// Starts the background task unless it runs.
    fn try_again_in_background(&self, error: &sqlx::Error) {
        if self.is_down.send_replace(true) {
            return;
        }
        tracing::warn!(%error, "Postgres accepts no connections, trying again");
        let (options, is_down) = (self.options.clone(), self.is_down.clone());
        tokio::spawn(async move {
            let mut pause = PAUSE_MIN;
            loop {
                sleep(pause).await;
                pause = (2 * pause).min(PAUSE_MAX);
                match timeout(DB_ACQUIRE_TIMEOUT, connect(&options)).await {
                    Ok(Err(error)) if is_temporary(&error) => {}
                    // Timed out.
                    Err(_) => {}
                    Ok(_) => break,
                }
            }
            is_down.send_replace(false);
        });
    }
}

async fn connect(options: &PgConnectOptions) -> sqlx::Result<PgConnection> {
    let mut connection = with_address(options).await?.connect().await?;
    set_up(&mut connection).await?;
    Ok(connection)
}

/// Returns whether a refused connection may be accepted later: Postgres is down, starting, stopping
/// or full.
fn is_temporary(error: &sqlx::Error) -> bool {
    const TOO_MANY_CONNECTIONS: &str = "53300";
    const CANNOT_CONNECT_NOW: &str = "57P03";
    is_lost(error) || has_code(error, &[TOO_MANY_CONNECTIONS, CANNOT_CONNECT_NOW])
}

async fn within<T>(deadline: Instant, step: impl Future<Output = T>) -> Result<T, Error> {
    let done = timeout_at(deadline, step).await;
    done.map_err(|_| unavailable("no connection was free or could be opened in time"))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;

    #[tokio::test]
    async fn waiting_call_takes_less_than_a_kibibyte() {
        let config = DatabaseConfig {
            host: String::new(),
            port: 0,
            name: String::new(),
            user: String::new(),
            password: String::new(),
            pool_size: NonZeroUsize::MIN,
        };
        let database = Database::new(&config, 1);
        let size = size_of_val(&database.find_user("id"));
        assert!(size < 1024, "{size} bytes");
    }
}
