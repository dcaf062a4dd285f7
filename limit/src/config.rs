//! What the limit reads from the environment: the target's variables but for `JWT_SECRET`, since it
//! looks at no token. Nothing here is printable: it holds secrets.

use std::ffi::OsString;
use std::num::NonZeroUsize;

use http::Uri;
use schema::env::{self, EnvError, Environment};
use schema::routes;
use serve::Listen;

/// The limit's configuration.
pub struct Config {
    pub(crate) listen: Listen,
    pub(crate) upstream: UpstreamConfig,
    pub(crate) upstream_pool_size: NonZeroUsize,
    pub(crate) database: DatabaseConfig,
    pub(crate) database_pool_size: NonZeroUsize,
}

/// The upstream of `GET /catalog`.
#[derive(Clone)]
pub(crate) struct UpstreamConfig {
    /// Host and port.
    pub(crate) address: String,
    /// The path of `{UPSTREAM_URL}/data`.
    pub(crate) path: String,
    pub(crate) api_key: String,
}

/// The database of `GET /users/me`.
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
    /// The first variable that is missing, empty, or not of its form; more workers than one.
    pub fn read(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self, EnvError> {
        let environment = Environment(lookup);
        let listen = Listen::read(&environment)?;
        if listen.workers != NonZeroUsize::MIN {
            let form = "1: the limit is that of one thread";
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

/// Host and port as one text; an IPv6 address gets its brackets.
fn address_of(host: &str, port: u16) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// Where `{base}/data` is and its path; none if `base` is anything but an `http` URL of host, port
/// and path.
fn address_and_path(base: &str) -> Option<(String, String)> {
    const HTTP_PORT: u16 = 80;
    let uri: Uri = base.parse().ok()?;
    let authority = uri.authority()?;
    let plain = uri.scheme_str() == Some("http")
        && !authority.as_str().contains('@')
        && !authority.host().is_empty()
        // A port that is no number is no port here, and must not pass for none.
        && (authority.port_u16().is_some() || authority.as_str() == authority.host())
        && uri.query().is_none()
        && !base.contains('#');
    let address = address_of(authority.host(), authority.port_u16().unwrap_or(HTTP_PORT));
    let path = format!(
        "{}{}",
        uri.path().trim_end_matches('/'),
        routes::UPSTREAM_DATA
    );
    plain.then_some((address, path))
}

#[cfg(test)]
mod tests {
    use super::{address_and_path, address_of};

    #[test]
    fn the_upstream_s_address_has_a_port_and_its_path_a_prefix() {
        for (base, address, path) in [
            ("http://upstream:8000", "upstream:8000", "/data"),
            ("http://upstream/", "upstream:80", "/data"),
            (
                "http://[::1]:1/faults/hang/",
                "[::1]:1",
                "/faults/hang/data",
            ),
        ] {
            let expected = (address.to_owned(), path.to_owned());
            assert_eq!(address_and_path(base), Some(expected), "{base}");
        }
        assert_eq!(address_of("::1", 5432), "[::1]:5432");
    }

    #[test]
    fn what_cannot_be_called_as_written_is_refused() {
        for base in [
            "upstream:8000",
            "https://upstream",
            "http://",
            "http://:80",
            "http://upstream:port",
            "http://user@upstream",
            "http://upstream/?a=b",
            "http://upstream/#top",
        ] {
            assert_eq!(address_and_path(base), None, "{base}");
        }
    }
}
