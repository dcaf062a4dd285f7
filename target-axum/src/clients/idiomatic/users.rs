//! The database of `GET /users/me`, through sqlx's pool.

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
pub(crate) struct Users {
    pool: PgPool,
}

impl Users {
    pub(crate) fn new(config: &DatabaseConfig, connections: usize) -> Self {
        let options = PgConnectOptions::new_without_pgpass()
            .host(&config.host)
            .port(config.port)
            .database(&config.name)
            .username(&config.user)
            .password(&config.password)
            .ssl_mode(PgSslMode::Disable)
            .application_name("target-axum")
            .options([("statement_timeout", DB_STATEMENT_TIMEOUT.as_millis())])
            .disable_statement_logging();
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
                .connect_lazy_with(options),
        }
    }

    /// The user's row, if there is one.
    pub(crate) async fn find(&self, id: &str) -> Result<Option<Profile>, Error> {
        // Postgres cannot store NUL in a text, so no user has such an id.
        if id.contains('\0') {
            return Ok(None);
        }
        // After a restart of Postgres every pooled connection is dead. The statement only reads,
        // so it is sent again until the dead ones are used up and a new one is made.
        let mut attempts_left = self.pool.options().get_max_connections();
        loop {
            let acquired = self.pool.acquire().await;
            let mut connection = acquired.map_err(|error| unavailable(error.into()))?;
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
                Some(error) if is_lost(&error) && attempts_left > 0 => attempts_left -= 1,
                Some(error) if is_unforeseen(&error) => {
                    return Err(Error::from(ErrorCode::Internal).because(error));
                }
                Some(error) => return Err(unavailable(error.into())),
                None => return Err(unavailable("the statement took too long".into())),
            }
        }
    }
}

fn unavailable(cause: BoxError) -> Error {
    Error::from(ErrorCode::DatabaseUnavailable).because(cause)
}

/// Whether the connection is gone: the socket failed, or the server said farewell on it.
fn is_lost(error: &sqlx::Error) -> bool {
    const ADMIN_SHUTDOWN: &str = "57P01";
    const CRASH_SHUTDOWN: &str = "57P02";
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(error) => {
            matches!(
                error.code().as_deref(),
                Some(ADMIN_SHUTDOWN | CRASH_SHUTDOWN)
            )
        }
        _ => false,
    }
}

/// Whether a working database refused the statement: then the table is not the contract's.
fn is_unforeseen(error: &sqlx::Error) -> bool {
    /// Classes of SQLSTATE: connection, resources, locks, operator intervention, system.
    const UNAVAILABLE: [&str; 5] = ["08", "53", "55", "57", "58"];
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            !UNAVAILABLE.iter().any(|class| code.starts_with(class))
        }
        sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Decode(_) => true,
        _ => false,
    }
}
