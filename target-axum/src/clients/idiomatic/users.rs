//! The database of `GET /users/me`, through sqlx's pool.

use log::LevelFilter;
use schema::limits::{DB_ACQUIRE_TIMEOUT, DB_STATEMENT_TIMEOUT};
use schema::{Profile, sql};
use sqlx::postgres::{PgPool, PgPoolOptions};
use tokio::time::timeout;

use super::super::database;
use crate::config::DatabaseConfig;
use crate::error::Error;

/// One worker's connections to Postgres.
pub(crate) struct Users {
    pool: PgPool,
}

impl Users {
    pub(crate) fn new(config: &DatabaseConfig, connections: usize) -> Self {
        let connections = u32::try_from(connections).expect("the configuration bounds pools");
        Self {
            pool: PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(DB_ACQUIRE_TIMEOUT)
                // A slow wait ends in an error that is logged anyway.
                .acquire_slow_level(LevelFilter::Off)
                // Asking before each use whether a connection is alive doubles the round trips;
                // `find` replaces one that turns out to be dead.
                .test_before_acquire(false)
                .connect_lazy_with(database::options(config)),
        }
    }

    pub(crate) async fn find(&self, id: &str) -> Result<Option<Profile>, Error> {
        // After a restart of Postgres every pooled connection is dead. The statement only reads,
        // so it is sent again until the dead ones are used up and a new one is made.
        let mut attempts_left = self.pool.options().get_max_connections();
        loop {
            let acquired = self.pool.acquire().await;
            let mut connection = acquired.map_err(database::unavailable)?;
            let select = sqlx::query_as(sql::SELECT_USER)
                .bind(id)
                .fetch_optional(&mut *connection);
            let failure = match timeout(DB_STATEMENT_TIMEOUT, select).await {
                Ok(Ok(profile)) => return Ok(profile),
                Ok(Err(error)) => Some(error),
                Err(_) => None,
            };
            // What state the failure left the connection in is not worth finding out.
            drop(connection.detach());
            match failure {
                Some(error) if database::is_lost(&error) && attempts_left > 0 => attempts_left -= 1,
                Some(error) => return Err(database::failed(error)),
                None => return Err(database::unavailable("the statement took too long")),
            }
        }
    }
}
