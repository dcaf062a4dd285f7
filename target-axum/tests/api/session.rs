//! A session of a test with a private Postgres.

use schema::env;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Row};
use tokio::runtime::{Builder, Runtime};

/// One connection, closed when it is dropped.
pub(crate) struct Session {
    runtime: Runtime,
    connection: PgConnection,
}

impl Session {
    pub(crate) fn open(port: u16) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let options = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(port)
            .database(env::bench_value(&env::DB_NAME))
            .username(env::bench_value(&env::DB_USER))
            .password(env::bench_value(&env::DB_PASSWORD));
        let connection = runtime.block_on(options.connect()).unwrap();
        Self {
            runtime,
            connection,
        }
    }

    pub(crate) fn execute(&mut self, sql: &str) {
        let executed = self.connection.execute(AssertSqlSafe(sql.to_owned()));
        self.runtime.block_on(executed).unwrap();
    }

    /// Locks the table until [`Self::unlock`].
    pub(crate) fn lock(&mut self) {
        self.execute("BEGIN");
        self.execute("LOCK TABLE users");
    }

    pub(crate) fn unlock(&mut self) {
        self.execute("ROLLBACK");
    }

    /// Returns the number of connections of targets to this Postgres.
    pub(crate) fn target_connections(&mut self) -> i64 {
        let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'target-axum'";
        let row = self.runtime.block_on(self.connection.fetch_one(count));
        row.unwrap().get(0)
    }
}
