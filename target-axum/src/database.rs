//! The database of `GET /users/me`, read through sqlx's pool.

use log::LevelFilter;
use schema::limits::{DB_ACQUIRE_TIMEOUT, DB_STATEMENT_TIMEOUT};
use schema::{ErrorCode, Profile, sql};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgSslMode};
use tokio::time::timeout;
use tower::BoxError;

use crate::config::DatabaseConfig;
use crate::error::Error;

/// One worker's connections to Postgres.
pub(crate) struct Database {
    pool: PgPool,
}

impl Database {
    pub(crate) fn new(config: &DatabaseConfig, connections: usize) -> Self {
        let connections = u32::try_from(connections).expect("the configuration bounds pools");
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(DB_ACQUIRE_TIMEOUT)
            // A slow wait ends in an error, which is logged.
            .acquire_slow_level(LevelFilter::Off)
            // A ping before each use doubles the round trips; `find_user` replaces dead connections.
            .test_before_acquire(false)
            .connect_lazy_with(connect_options(config));
        Self { pool }
    }

    /// Reads the user's row. After a restart of Postgres every pooled connection is dead: the
    /// statement only reads, so it is repeated until the pool opens a new one.
    pub(crate) async fn find_user(&self, id: &str) -> Result<Option<Profile>, Error> {
        let mut repeats_left = self.pool.options().get_max_connections();
        loop {
            let mut connection = self.pool.acquire().await.map_err(unavailable)?;
            let select = sqlx::query_as(sql::SELECT_USER)
                .bind(id)
                .fetch_optional(&mut *connection);
            let result = timeout(DB_STATEMENT_TIMEOUT, select).await;
            if let Ok(Ok(profile)) = result {
                return Ok(profile);
            }
            // A failure may leave the connection in any state.
            drop(connection.detach());
            match result.map_err(unavailable)? {
                Err(error) if is_lost(&error) && repeats_left > 0 => repeats_left -= 1,
                result => return result.map_err(failed),
            }
        }
    }
}

pub(crate) fn connect_options(config: &DatabaseConfig) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .host(&config.host)
        .port(config.port)
        .database(&config.name)
        .username(&config.user)
        .password(&config.password)
        .ssl_mode(PgSslMode::Disable)
        .application_name("target-axum")
        .options([("statement_timeout", DB_STATEMENT_TIMEOUT.as_millis())])
        .disable_statement_logging()
}

/// Returns the error of a failed statement. A working database that refuses the statement has
/// another table than the contract's: that is an internal error.
pub(crate) fn failed(error: sqlx::Error) -> Error {
    /// Classes of SQLSTATE: connection, resources, locks, operator intervention, system.
    const UNAVAILABLE: [&str; 5] = ["08", "53", "55", "57", "58"];
    let is_internal = match &error {
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            !UNAVAILABLE.iter().any(|class| code.starts_with(class))
        }
        sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Decode(_) => true,
        _ => false,
    };
    match is_internal {
        true => Error::from(ErrorCode::Internal).because(error),
        false => unavailable(error),
    }
}

pub(crate) fn unavailable(cause: impl Into<BoxError>) -> Error {
    Error::from(ErrorCode::DatabaseUnavailable).because(cause)
}

/// Returns whether the connection is lost: the socket failed, or the server closes it.
pub(crate) fn is_lost(error: &sqlx::Error) -> bool {
    const ADMIN_SHUTDOWN: &str = "57P01";
    const CRASH_SHUTDOWN: &str = "57P02";
    matches!(error, sqlx::Error::Io(_)) || has_code(error, &[ADMIN_SHUTDOWN, CRASH_SHUTDOWN])
}

/// Returns whether the error has one of these SQLSTATE codes.
pub(crate) fn has_code(error: &sqlx::Error, codes: &[&str]) -> bool {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| codes.contains(&&*code))
}
