//! The environment of the contract.

use std::env::{self, VarError};
use std::str::FromStr;

/// Settings of the service.
#[derive(Clone)]
pub struct Config {
    pub jwt_secret: String,
    pub upstream_url: String,
    pub upstream_api_key: String,
    pub upstream_pool_size: usize,
    pub db_host: String,
    pub db_port: u16,
    pub db_name: String,
    pub db_user: String,
    pub db_password: String,
    pub db_pool_size: usize,
    pub workers: usize,
    pub host: String,
    pub port: u16,
}

impl Config {
    /// Reads the environment.
    ///
    /// # Errors
    /// A line that names a variable that is missing, empty or invalid.
    pub fn from_env() -> Result<Self, String> {
        Ok(Self {
            jwt_secret: read("JWT_SECRET", None)?,
            upstream_url: read("UPSTREAM_URL", None)?,
            upstream_api_key: read("UPSTREAM_API_KEY", None)?,
            upstream_pool_size: read("UPSTREAM_POOL_SIZE", Some("64"))?,
            db_host: read("DB_HOST", None)?,
            db_port: read("DB_PORT", None)?,
            db_name: read("DB_NAME", None)?,
            db_user: read("DB_USER", None)?,
            db_password: read("DB_PASSWORD", None)?,
            db_pool_size: read("DB_POOL_SIZE", Some("64"))?,
            workers: read("WORKERS", Some("1"))?,
            host: read("HOST", Some("0.0.0.0"))?,
            port: read("PORT", Some("8000"))?,
        })
    }
}

fn read<T: FromStr>(name: &str, default: Option<&str>) -> Result<T, String> {
    let value = match (env::var(name), default) {
        (Ok(value), _) if value.is_empty() => return Err(format!("{name} is empty")),
        (Ok(value), _) => value,
        (Err(VarError::NotPresent), Some(default)) => default.to_owned(),
        (Err(error), _) => return Err(format!("{name}: {error}")),
    };
    value.parse().map_err(|_| format!("{name} is invalid"))
}
