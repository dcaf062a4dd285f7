//! What the upstream reads from the environment.

use std::ffi::OsString;

use schema::env::{self, EnvError, Environment};
use serve::Listen;

/// The upstream's configuration. Not printable: it holds the key.
#[derive(Clone)]
pub struct Config {
    /// Where it listens, with how many workers.
    pub listen: Listen,
    /// The key that `GET /data` asks for.
    pub api_key: String,
    /// Whether `/faults/<fault>/data` is served.
    pub faults: bool,
}

impl Config {
    /// Reads the configuration through `lookup`, for example `std::env::var_os`.
    ///
    /// # Errors
    /// The first variable that is missing, empty, or not of its form.
    pub fn read(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self, EnvError> {
        let environment = Environment(lookup);
        Ok(Self {
            listen: Listen::read(&environment)?,
            api_key: environment.api_key()?,
            faults: environment.flag(&env::UPSTREAM_FAULTS)?,
        })
    }
}
