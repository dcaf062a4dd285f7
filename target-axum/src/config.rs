//! The target's configuration, read from the environment. Nothing here is printable: it holds secrets.

use std::ffi::OsString;
use std::num::NonZeroUsize;

use reqwest::Url;
use schema::env::{self, EnvError, Environment};
use schema::routes;
use serve::Listen;

/// The target's configuration.
#[derive(Clone)]
pub struct Config {
    /// Address, port and number of workers.
    pub listen: Listen,
    /// How the target uses its libraries.
    pub profile: TargetProfile,
    /// HS256 secret.
    pub jwt_secret: String,
    /// The upstream of `GET /catalog`.
    pub upstream: UpstreamConfig,
    /// The database of `GET /users/me`.
    pub database: DatabaseConfig,
}

/// How the target uses its libraries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TargetProfile {
    /// The libraries used as their documentation shows.
    Idiomatic,
    /// With the deviations of `tuned`.
    Tuned,
}

/// The upstream of `GET /catalog`.
#[derive(Clone)]
pub struct UpstreamConfig {
    /// `{UPSTREAM_URL}/data`.
    pub data_url: Url,
    /// The key that the upstream requires.
    pub api_key: String,
    /// Calls in flight, over all workers.
    pub pool_size: NonZeroUsize,
}

/// The database of `GET /users/me`.
#[derive(Clone)]
pub struct DatabaseConfig {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Database.
    pub name: String,
    /// User.
    pub user: String,
    /// Password.
    pub password: String,
    /// Connections, over all workers.
    pub pool_size: NonZeroUsize,
}

impl Config {
    /// Reads the configuration through `lookup`, for example `std::env::var_os`.
    ///
    /// # Errors
    /// The first variable that is missing, empty, not of its form, or a former name.
    pub fn read(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self, EnvError> {
        let environment = Environment(lookup);
        environment.refuse_renamed()?;
        let listen = Listen::read(&environment)?;
        Ok(Self {
            listen,
            profile: environment.parse(&env::PROFILE, |text| match text {
                "idiomatic" => Some(TargetProfile::Idiomatic),
                "tuned" => Some(TargetProfile::Tuned),
                _ => None,
            })?,
            jwt_secret: environment.text(&env::JWT_SECRET)?,
            upstream: UpstreamConfig {
                data_url: environment.parse(&env::UPSTREAM_URL, data_url)?,
                api_key: environment.api_key()?,
                pool_size: environment.pool_size(&env::UPSTREAM_POOL_SIZE, listen.workers)?,
            },
            database: DatabaseConfig {
                host: environment.text(&env::DB_HOST)?,
                port: environment.port(&env::DB_PORT)?,
                name: environment.text(&env::DB_NAME)?,
                user: environment.text(&env::DB_USER)?,
                password: environment.text(&env::DB_PASSWORD)?,
                pool_size: environment.pool_size(&env::DB_POOL_SIZE, listen.workers)?,
            },
        })
    }
}

/// Returns `{base}/data`, or `None` if `base` is anything but an `http` URL of host, port and path.
fn data_url(base: &str) -> Option<Url> {
    let base = Url::parse(base).ok()?;
    let plain = base.scheme() == "http"
        && base.username().is_empty()
        && base.password().is_none()
        && base.query().is_none()
        && base.fragment().is_none();
    let prefix = base.as_str().trim_end_matches('/');
    Url::parse(&format!("{prefix}{}", routes::UPSTREAM_DATA))
        .ok()
        .filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::data_url;

    #[test]
    fn data_url_keeps_a_path_prefix() {
        for (base, expected) in [
            ("http://upstream:8000", "http://upstream:8000/data"),
            ("http://upstream:8000/", "http://upstream:8000/data"),
            (
                "http://[::1]:1/faults/hang",
                "http://[::1]:1/faults/hang/data",
            ),
        ] {
            assert_eq!(data_url(base).unwrap().as_str(), expected);
        }
    }

    #[test]
    fn url_that_cannot_be_called_as_written_is_refused() {
        for base in [
            "upstream:8000",
            "https://upstream",
            "http://",
            "http://user@upstream",
            "http://upstream/?a=b",
            "http://upstream/#top",
            "ftp://upstream",
        ] {
            assert!(data_url(base).is_none(), "{base}");
        }
    }
}
