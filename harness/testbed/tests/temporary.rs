//! The private server of a test.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::net::TcpStream;

use schema::env::{DB_NAME, DB_PASSWORD, DB_USER, bench_value};
use schema::{Profile, fixtures, sql};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};
use testbed::postgres::TemporaryPostgres;

async fn connect(postgres: &TemporaryPostgres) -> sqlx::Result<PgConnection> {
    PgConnectOptions::new_without_pgpass()
        .host(postgres.host())
        .port(postgres.port())
        .username(bench_value(&DB_USER))
        .password(bench_value(&DB_PASSWORD))
        .database(bench_value(&DB_NAME))
        .connect()
        .await
}

/// All users and `max_connections`.
async fn content(postgres: &TemporaryPostgres) -> (Vec<Profile>, String) {
    let mut connection = connect(postgres).await.unwrap();
    sqlx::raw_sql(sql::USERS)
        .execute(&mut connection)
        .await
        .unwrap();
    let users = sqlx::query_as("SELECT * FROM users")
        .fetch_all(&mut connection)
        .await;
    let most = sqlx::query_scalar("SHOW max_connections")
        .fetch_one(&mut connection)
        .await;
    connection.close().await.unwrap();
    (users.unwrap(), most.unwrap())
}

#[test]
fn a_temporary_server_is_seeded_stops_starts_again_and_leaves_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut postgres = TemporaryPostgres::start().unwrap();
    let seeded = (vec![fixtures::profile()], "200".to_owned());
    assert_eq!(runtime.block_on(content(&postgres)), seeded);
    let address = postgres.address();

    postgres.stop().unwrap();
    postgres.stop().unwrap();
    assert!(runtime.block_on(connect(&postgres)).is_err());
    postgres.start_again().unwrap();
    assert_eq!(postgres.address(), address);
    assert_eq!(runtime.block_on(content(&postgres)), seeded);
    assert!(postgres.start_again().is_err());

    let folder = postgres.folder().to_path_buf();
    drop(postgres);
    assert!(!folder.exists());
    assert!(TcpStream::connect(address).is_err());
}
