//! What both clients of Postgres do alike: the options of a connection, and what a failure means.

use schema::ErrorCode;
use schema::limits::DB_STATEMENT_TIMEOUT;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tower::BoxError;

use crate::config::DatabaseConfig;
use crate::error::Error;

pub(super) fn options(config: &DatabaseConfig) -> PgConnectOptions {
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

/// How a statement's failure is answered.
pub(super) fn failed(error: sqlx::Error) -> Error {
    if is_unforeseen(&error) {
        return Error::from(ErrorCode::Internal).because(error);
    }
    unavailable(error)
}

pub(super) fn unavailable(cause: impl Into<BoxError>) -> Error {
    Error::from(ErrorCode::DatabaseUnavailable).because(cause)
}

/// Whether the connection is gone: the socket failed, or the server said farewell on it.
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
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

/// Whether a connection was refused for a while only: Postgres is down, starts, stops, or is full.
pub(super) fn is_away(error: &sqlx::Error) -> bool {
    const TOO_MANY_CONNECTIONS: &str = "53300";
    const CANNOT_CONNECT_NOW: &str = "57P03";
    match error {
        sqlx::Error::Database(refusal) => {
            let code = refusal.code();
            let for_a_while = matches!(
                code.as_deref(),
                Some(TOO_MANY_CONNECTIONS | CANNOT_CONNECT_NOW)
            );
            for_a_while || is_lost(error)
        }
        error => is_lost(error),
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
