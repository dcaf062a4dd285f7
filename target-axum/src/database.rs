//! The database of `GET /users/me`, read through sqlx's pool.

use std::io;
use std::time::Duration;

use log::LevelFilter;
use schema::limits::{DB_ACQUIRE_TIMEOUT, DB_STATEMENT_TIMEOUT};
use schema::{ErrorCode, Profile, sql};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};
use tokio::sync::Mutex;
use tokio::time::timeout;
use tower::BoxError;

use crate::config::DatabaseConfig;
use crate::connect::{connect_to_any, look_up};
use crate::error::Error;

/// The part of the time for a connection in which the cause of its failure is found.
const CAUSE_TIMEOUT: Duration = Duration::from_millis(500);

/// One worker's connections to Postgres.
pub(crate) struct Database {
    pool: PgPool,
    options: PgConnectOptions,
    /// Held while a connection is opened beside the pool.
    outside_pool: Mutex<()>,
}

impl Database {
    pub(crate) fn new(config: &DatabaseConfig, connections: usize) -> Self {
        let connections = u32::try_from(connections).expect("the configuration bounds pools");
        let options = connect_options(config);
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(DB_ACQUIRE_TIMEOUT - CAUSE_TIMEOUT)
            // A slow wait ends in an error, which is logged.
            .acquire_slow_level(LevelFilter::Off)
            // A ping before each use doubles the round trips; `find_user` replaces dead connections.
            .test_before_acquire(false)
            .after_connect(|connection, _| Box::pin(set_up(connection)))
            .connect_lazy_with(options.clone());
        Self {
            pool,
            options,
            outside_pool: Mutex::new(()),
        }
    }

    /// Reads the user's row. After a restart of Postgres every pooled connection is dead: the
    /// statement only reads, so it is repeated until the pool opens a new one.
    pub(crate) async fn find_user(&self, id: &str) -> Result<Option<Profile>, Error> {
        let mut repeats_left = self.pool.options().get_max_connections();
        loop {
            let mut connection = match self.pool.acquire().await {
                Err(sqlx::Error::PoolTimedOut) => return Err(unavailable(self.cause().await)),
                acquired => acquired.map_err(unavailable)?,
            };
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

    /// Returns the reason that the pool opened no connection in time. The pool tries again when it is
    /// refused, and says no more than that it timed out; it waits for a silent address of several until
    /// then. Therefore this function connects once by itself, and lets the pool use the address that accepts.
    async fn cause(&self) -> sqlx::Error {
        let timed_out = sqlx::Error::PoolTimedOut;
        let is_full = self.pool.size() >= self.pool.options().get_max_connections();
        let Ok(_one_at_a_time) = self.outside_pool.try_lock() else {
            return timed_out;
        };
        if is_full {
            return timed_out;
        }
        let connect = async {
            let options = with_address(&self.options).await?;
            self.pool.set_connect_options(options.clone());
            options.connect().await
        };
        match timeout(CAUSE_TIMEOUT, connect).await {
            Ok(Err(error)) => error,
            // Postgres accepts connections by now, or is silent.
            Ok(Ok(_)) | Err(_) => timed_out,
        }
    }
}

/// Returns options from the contract's variables alone; `main` removes those that sqlx would add.
pub(crate) fn connect_options(config: &DatabaseConfig) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .host(&config.host)
        .port(config.port)
        .database(&config.name)
        .username(&config.user)
        .password(&config.password)
        .ssl_mode(PgSslMode::Disable)
        .application_name("target-axum")
        // No column is a float, and pgbouncer refuses start-up parameters that it does not know.
        .extra_float_digits(None)
        .disable_statement_logging()
}

/// Returns the options with the first address of a host of several that accepts connections: sqlx waits
/// for each address for minutes.
pub(crate) async fn with_address(options: &PgConnectOptions) -> io::Result<PgConnectOptions> {
    let addresses = look_up(options.get_host(), options.get_port()).await?;
    if let [_] = addresses[..] {
        return Ok(options.clone());
    }
    let address = connect_to_any(&addresses).await?.peer_addr()?;
    Ok(options.clone().host(&address.ip().to_string()))
}

/// Prepares the session of a new connection. Postgres ends a statement that nobody waits for any more.
pub(crate) async fn set_up(connection: &mut PgConnection) -> sqlx::Result<()> {
    let timeout_ms = DB_STATEMENT_TIMEOUT.as_millis();
    let set = AssertSqlSafe(format!("SET statement_timeout = {timeout_ms}"));
    connection.execute(set).await?;
    Ok(())
}

/// Returns the error of a failed statement. A working database that refuses the statement, or answers
/// with other columns, has another table than the contract's: that is an internal error.
pub(crate) fn failed(error: sqlx::Error) -> Error {
    /// The class of syntax errors and access rule violations.
    const REFUSED: &str = "42";
    /// A pooler in transaction mode gave the connection to another session.
    const DUPLICATE_PREPARED_STATEMENT: &str = "42P05";
    let is_internal = match &error {
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            code.starts_with(REFUSED) && code != DUPLICATE_PREPARED_STATEMENT
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
