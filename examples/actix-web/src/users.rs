//! `GET /users/me`: verify a token, read a row from Postgres.

use std::time::Duration;

use actix_web::{HttpResponse, route, web};
use deadpool_postgres::{BuildError, Manager, Pool, PoolError, Runtime};
use serde::Serialize;
use tokio_postgres::{NoTls, Row};

use crate::auth::Claims;
use crate::config::Config;
use crate::error::Error;

const SELECT_USER: &str = "SELECT id, name, email, address, city, country FROM users WHERE id = $1";
const WAIT_TIMEOUT: Duration = Duration::from_secs(5);

pub fn pool(config: &Config) -> Result<Pool, BuildError> {
    let mut options = tokio_postgres::Config::new();
    options
        .host(&config.db_host)
        .port(config.db_port)
        .dbname(&config.db_name)
        .user(&config.db_user)
        .password(&config.db_password)
        .options("-c statement_timeout=5000");
    Pool::builder(Manager::new(options, NoTls))
        .max_size(config.db_pool_size)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(WAIT_TIMEOUT))
        .create_timeout(Some(WAIT_TIMEOUT))
        .build()
}

#[derive(Serialize)]
struct Profile {
    id: String,
    name: String,
    email: String,
    address: String,
    city: String,
    country: String,
}

impl From<&Row> for Profile {
    fn from(row: &Row) -> Self {
        Self {
            id: row.get(0),
            name: row.get(1),
            email: row.get(2),
            address: row.get(3),
            city: row.get(4),
            country: row.get(5),
        }
    }
}

#[route("/users/me", method = "GET", method = "HEAD")]
pub async fn me(claims: Claims, pool: web::Data<Pool>) -> Result<HttpResponse, Error> {
    let profile = find(&pool, &claims.sub).await.map_err(|error| {
        log::error!("database unavailable: {error}");
        Error::DatabaseUnavailable
    })?;
    let profile = profile.ok_or(Error::UserNotFound)?;
    Ok(HttpResponse::Ok().json(profile))
}

async fn find(pool: &Pool, id: &str) -> Result<Option<Profile>, PoolError> {
    let client = pool.get().await?;
    let statement = client.prepare_cached(SELECT_USER).await?;
    let row = client.query_opt(&statement, &[&id]).await?;
    Ok(row.as_ref().map(Profile::from))
}
