//! The environment of the upstream.

use std::ffi::OsString;

use schema::env::{self, EnvError, Environment};
use serve::Listen;

/// The upstream's configuration. It has no `Debug`: it holds the key.
#[derive(Clone)]
pub struct Config {
    /// Address and number of workers.
    pub listen: Listen,
    /// The API key of `GET /data`.
    pub api_key: String,
    /// True if `/faults/<fault>/data` is served.
    pub faults: bool,
}

impl Config {
    /// Reads the configuration through `lookup`, for example `std::env::var_os`.
    ///
    /// # Errors
    /// The first variable that is missing, empty, or not in its form.
    pub fn read(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self, EnvError> {
        let environment = Environment(lookup);
        Ok(Self {
            listen: Listen::read(&environment)?,
            api_key: environment.api_key()?,
            faults: environment.flag(&env::UPSTREAM_FAULTS)?,
        })
    }
}
