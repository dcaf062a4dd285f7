//! The environment of the ceiling: the target's variables except `JWT_SECRET`, because it reads no token. The
//! types have no `Debug`: they hold secrets.

use std::ffi::OsString;
use std::num::NonZeroUsize;

use http::Uri;
use schema::env::{self, EnvError, Environment};
use schema::routes;
use serve::Listen;

/// The configuration.
pub struct Config {
    pub(crate) listen: Listen,
    pub(crate) upstream: UpstreamConfig,
    pub(crate) upstream_pool_size: NonZeroUsize,
    pub(crate) database: DatabaseConfig,
    pub(crate) database_pool_size: NonZeroUsize,
}

pub(crate) struct UpstreamConfig {
    /// Host and port.
    pub(crate) address: String,
    /// The path of `{UPSTREAM_URL}/data`.
    pub(crate) path: String,
    pub(crate) api_key: String,
}

#[derive(Clone)]
pub(crate) struct DatabaseConfig {
    /// Host and port.
    pub(crate) address: String,
    pub(crate) name: String,
    pub(crate) user: String,
    pub(crate) password: String,
}

impl Config {
    /// Reads the configuration through `lookup`, for example `std::env::var_os`.
    ///
    /// # Errors
    /// The first variable that is missing, empty, or not in its form; more than one worker.
    pub fn read(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self, EnvError> {
        let environment = Environment(lookup);
        let listen = Listen::read(&environment)?;
        if listen.workers != NonZeroUsize::MIN {
            let form = "1: the ceiling is that of one thread";
            return Err(EnvError::Invalid(env::WORKERS.name, form));
        }
        let (address, path) = environment.parse(&env::UPSTREAM_URL, address_and_path)?;
        let host = environment.text(&env::DB_HOST)?;
        Ok(Self {
            listen,
            upstream: UpstreamConfig {
                address,
                path,
                api_key: environment.api_key()?,
            },
            upstream_pool_size: environment.count(&env::UPSTREAM_POOL_SIZE)?,
            database: DatabaseConfig {
                address: address_of(&host, environment.port(&env::DB_PORT)?),
                name: environment.text(&env::DB_NAME)?,
                user: environment.text(&env::DB_USER)?,
                password: environment.text(&env::DB_PASSWORD)?,
            },
            database_pool_size: environment.count(&env::DB_POOL_SIZE)?,
        })
    }
}

/// Joins host and port; an IPv6 address gets its brackets.
fn address_of(host: &str, port: u16) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// Splits `{base}/data` into address and path. None unless `base` is an `http` URL of host, port and path.
fn address_and_path(base: &str) -> Option<(String, String)> {
    const HTTP_PORT: u16 = 80;
    let uri: Uri = base.parse().ok()?;
    let authority = uri.authority()?;
    let is_plain = uri.scheme_str() == Some("http")
        && !authority.as_str().contains('@')
        && !authority.host().is_empty()
        // `Uri` reports a port that is not a number as a missing port.
        && (authority.port_u16().is_some() || authority.as_str() == authority.host())
        && uri.query().is_none()
        && !base.contains('#');
    let address = address_of(authority.host(), authority.port_u16().unwrap_or(HTTP_PORT));
    let prefix = uri.path().trim_end_matches('/');
    is_plain.then(|| (address, format!("{prefix}{}", routes::UPSTREAM_DATA)))
}

#[cfg(test)]
mod tests {
    use super::{address_and_path, address_of};

    #[test]
    fn upstream_url_splits_into_address_and_path() {
        let split = |base| {
            let (address, path) = address_and_path(base)?;
            Some(format!("{address} {path}"))
        };
        for (base, expected) in [
            ("http://upstream:8000", Some("upstream:8000 /data")),
            ("http://upstream/", Some("upstream:80 /data")),
            ("http://[::1]:1/a/b/", Some("[::1]:1 /a/b/data")),
            ("upstream:8000", None),
            ("https://upstream", None),
            ("http://:80", None),
            ("http://upstream:port", None),
            ("http://user@upstream", None),
            ("http://upstream/?a=b", None),
            ("http://upstream/#top", None),
        ] {
            assert_eq!(split(base).as_deref(), expected, "{base}");
        }
        assert_eq!(address_of("::1", 5432), "[::1]:5432");
    }
}
