//! The public harness's database: a table of runs, and one of their attempts.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection as _};

use super::{Kept, Row, chosen};

/// A table, the columns that it must have, and those that it has if its harness is young enough.
struct Table {
    name: &'static str,
    must: &'static [&'static str],
    may: &'static [&'static str],
}

const RUNS: Table = Table {
    name: "runs",
    must: &[
        "run_id",
        "created_at",
        "duration",
        "vus",
        "best_of",
        "workers",
    ],
    may: &[
        "python_server",
        "loop",
        "hostname",
        "ec2_ami_id",
        "ec2_instance_type",
        "aws_region",
    ],
};

const RESULTS: Table = Table {
    name: "results",
    must: &[
        "run_id",
        "framework",
        "test",
        "attempt",
        "reqs_per_sec",
        "latency_avg_ms",
        "latency_p99_ms",
        "failed_rate",
        "total_requests",
    ],
    may: &[
        "latency_p50_ms",
        "latency_p75_ms",
        "latency_p90_ms",
        "peak_rss_mb",
        "avg_rss_mb",
        "avg_cpu_pct",
        "peak_cpu_pct",
    ],
};

/// The run of this name, or the only one there is, with its attempts in their order.
pub(super) fn read(path: &Path, run: Option<&str>) -> Result<(Kept, Vec<Row>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(path).read_only(true);
        let mut database = options.connect().await.context("opening it")?;
        let read = read_from(&mut database, run).await;
        // It has a thread of its own, which ends with it.
        let closed = database.close().await;
        let read = read?;
        closed.context("closing it")?;
        Ok(read)
    })
}

async fn read_from(database: &mut SqliteConnection, run: Option<&str>) -> Result<(Kept, Vec<Row>)> {
    let mut runs: Vec<Kept> = rows(database, &RUNS, "").await?;
    let results = RESULTS.columns(database).await?;
    let ids: Vec<_> = runs.iter().map(|run| run.run_id.as_str()).collect();
    let id = chosen(&ids, run)?.to_owned();
    let kept = runs.swap_remove(
        runs.iter()
            .position(|run| run.run_id == id)
            .context("the chosen run is one of them")?,
    );
    let sql = select(&RESULTS, &results, "WHERE run_id = ? ORDER BY rowid");
    Ok((kept, fetch(database, sql, Some(&id)).await?))
}

async fn rows<T: DeserializeOwned>(
    database: &mut SqliteConnection,
    table: &Table,
    rest: &str,
) -> Result<Vec<T>> {
    let columns = table.columns(database).await?;
    fetch(database, select(table, &columns, rest), None).await
}

/// Each row as an object, so that one type reads both a row and what is in a JSON file.
fn select(table: &Table, columns: &[&str], rest: &str) -> String {
    let pairs: Vec<_> = columns
        .iter()
        .map(|column| format!("'{column}', \"{column}\""))
        .collect();
    format!(
        "SELECT json_object({}) FROM {} {rest}",
        pairs.join(", "),
        table.name
    )
}

async fn fetch<T: DeserializeOwned>(
    database: &mut SqliteConnection,
    sql: String,
    parameter: Option<&str>,
) -> Result<Vec<T>> {
    // Safe: made of the names of tables and columns above.
    let query = sqlx::query_scalar::<_, String>(AssertSqlSafe(sql));
    let query = match parameter {
        Some(parameter) => query.bind(parameter),
        None => query,
    };
    let objects = query.fetch_all(database).await?;
    let rows = objects.iter().map(|object| {
        serde_json::from_str(object).with_context(|| format!("reading the row {object}"))
    });
    rows.collect()
}

impl Table {
    /// Those of its columns that there are.
    async fn columns(&self, database: &mut SqliteConnection) -> Result<Vec<&'static str>> {
        let there: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info(?)")
            .bind(self.name)
            .fetch_all(database)
            .await?;
        let is_there = |column: &&&str| there.iter().any(|there| there == **column);
        let missing: Vec<_> = self
            .must
            .iter()
            .filter(|column| !is_there(column))
            .copied()
            .collect();
        ensure!(
            missing.is_empty(),
            "it is no database of the public harness: {} {}",
            match there.is_empty() {
                true => format!("there is no table {}, with the columns", self.name),
                false => format!("its table {} has not", self.name),
            },
            missing.join(", ")
        );
        let both = self.must.iter().chain(self.may);
        Ok(both.filter(is_there).copied().collect())
    }
}
