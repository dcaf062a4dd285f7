//! Makes the database and applies the SQL; both change nothing the second time.

use std::time::Duration;

use anyhow::{Context, Result};
use schema::env::{DB_NAME, DB_PASSWORD, DB_USER, bench_value};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{ConnectOptions, Connection};

/// Time for the whole: some ten statements on a server of this machine.
const SEED_TIMEOUT: Duration = Duration::from_secs(10);

/// Database of every new cluster, to connect to while ours is not there yet.
const MAINTENANCE_DATABASE: &str = "postgres";

/// SQLSTATE `cannot_connect_now`: the server is starting up.
const STARTING_UP: &str = "57P03";

/// Seeds the server on this port of 127.0.0.1. Returns false while it does not take connections.
///
/// # Errors
/// The server refuses a statement, or the login: it is not ours.
pub fn seed(port: u16) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting a runtime to seed Postgres")?;
    let seeded =
        runtime.block_on(async { tokio::time::timeout(SEED_TIMEOUT, seed_all(port)).await });
    match seeded.with_context(|| format!("seeding Postgres on port {port}"))? {
        Ok(()) => Ok(true),
        Err(sqlx::Error::Io(_)) => Ok(false),
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(STARTING_UP) => {
            Ok(false)
        }
        Err(error) => Err(error).with_context(|| format!("seeding Postgres on port {port}")),
    }
}

async fn seed_all(port: u16) -> sqlx::Result<()> {
    let name = bench_value(&DB_NAME);
    let mut connection = connect(port, MAINTENANCE_DATABASE).await?;
    let known: bool = sqlx::query_scalar("SELECT count(*) > 0 FROM pg_database WHERE datname = $1")
        .bind(name)
        .fetch_one(&mut connection)
        .await?;
    if !known {
        let create = format!(r#"CREATE DATABASE "{name}""#);
        sqlx::raw_sql(sqlx::AssertSqlSafe(create))
            .execute(&mut connection)
            .await?;
    }
    connection.close().await?;

    let mut connection = connect(port, name).await?;
    sqlx::raw_sql(schema::sql::USERS)
        .execute(&mut connection)
        .await?;
    connection.close().await
}

async fn connect(port: u16, database: &str) -> sqlx::Result<PgConnection> {
    PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(port)
        .username(bench_value(&DB_USER))
        .password(bench_value(&DB_PASSWORD))
        .database(database)
        .ssl_mode(PgSslMode::Disable)
        .connect()
        .await
}
