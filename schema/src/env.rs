//! The environment of the services: names, defaults, forms, and the bench values. [`Environment`] reads
//! through a lookup that is passed in, so this crate does no I/O. An error names the variable and never
//! repeats its value.

use std::ffi::OsString;
use std::num::{NonZeroU16, NonZeroUsize};

/// Exit code of a service or tool that could not run.
pub const EXIT_COULD_NOT_RUN: u8 = 2;

/// The bench values as a file of `KEY=VALUE` lines; Compose reads the same file by `env_file`.
pub const BENCH_ENV: &str = include_str!("../bench.env");

/// The target's port on 127.0.0.1, and the variable that overrides it.
pub const TARGET_PORT: (&str, u16) = ("TARGET_PORT", 8000);
/// The upstream's port on 127.0.0.1, and the variable that overrides it.
pub const UPSTREAM_PORT: (&str, u16) = ("UPSTREAM_PORT", 8001);
/// The port on 127.0.0.1 where Compose publishes Postgres, and the variable that overrides it.
pub const POSTGRES_PORT: (&str, u16) = ("POSTGRES_PORT", 54320);

/// Largest size of a pool, and largest number of workers.
const COUNT_MAX: usize = 10_000;

/// A service that reads the environment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Service {
    /// The contender with the four endpoints.
    Target,
    /// The service behind the proxy scenario.
    Upstream,
}

/// One environment variable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Variable {
    /// Name in the environment.
    pub name: &'static str,
    /// Services that read it.
    pub read_by: &'static [Service],
    /// Value of a variable that is not set; a variable without a default is required.
    pub default: Option<&'static str>,
    /// Form of its values, as it ends the sentence "NAME must be …".
    pub form: &'static str,
}

const TARGET: &[Service] = &[Service::Target];
const UPSTREAM: &[Service] = &[Service::Upstream];
const BOTH: &[Service] = &[Service::Target, Service::Upstream];
const COUNT: &str = "a whole number from 1 to 10000";
const TEXT: &str = "a text that is not empty";

const fn variable(
    name: &'static str,
    read_by: &'static [Service],
    default: Option<&'static str>,
    form: &'static str,
) -> Variable {
    Variable {
        name,
        read_by,
        default,
        form,
    }
}

/// HS256 secret, used as the raw UTF-8 bytes.
pub const JWT_SECRET: Variable = variable("JWT_SECRET", TARGET, None, TEXT);
/// Base URL of the upstream; the target calls `{UPSTREAM_URL}/data`.
pub const UPSTREAM_URL: Variable = variable(
    "UPSTREAM_URL",
    TARGET,
    None,
    "an http:// URL, with a path prefix if need be",
);
/// API key of the upstream.
pub const UPSTREAM_API_KEY: Variable = variable(
    "UPSTREAM_API_KEY",
    BOTH,
    None,
    "a key of visible ASCII characters",
);
/// Calls of the upstream in flight, over all workers.
pub const UPSTREAM_POOL_SIZE: Variable = variable("UPSTREAM_POOL_SIZE", TARGET, Some("64"), COUNT);
/// Host name or address of Postgres.
pub const DB_HOST: Variable = variable("DB_HOST", TARGET, None, TEXT);
/// Port of Postgres.
pub const DB_PORT: Variable = variable("DB_PORT", TARGET, None, "a port from 1 to 65535");
/// Database name.
pub const DB_NAME: Variable = variable("DB_NAME", TARGET, None, TEXT);
/// Database user.
pub const DB_USER: Variable = variable("DB_USER", TARGET, None, TEXT);
/// Database password.
pub const DB_PASSWORD: Variable = variable("DB_PASSWORD", TARGET, None, TEXT);
/// Concurrent connections to Postgres, over all workers.
pub const DB_POOL_SIZE: Variable = variable("DB_POOL_SIZE", TARGET, Some("64"), COUNT);
/// Worker threads, each with its own single-threaded runtime.
pub const WORKERS: Variable = variable("WORKERS", BOTH, Some("1"), COUNT);
/// How the target uses its libraries: as their documentation does, or tuned.
pub const PROFILE: Variable = variable("PROFILE", TARGET, Some("idiomatic"), "idiomatic or tuned");
/// Address to listen on.
pub const HOST: Variable = variable("HOST", BOTH, Some("0.0.0.0"), "an IP address");
/// Port to listen on; 0 takes a free one.
pub const PORT: Variable = variable("PORT", BOTH, Some("8000"), "a port from 0 to 65535");
/// 1 makes the upstream serve `/faults/<fault>/data`.
pub const UPSTREAM_FAULTS: Variable = variable("UPSTREAM_FAULTS", UPSTREAM, Some("0"), "0 or 1");

/// Every variable that a service reads.
pub const ALL: [Variable; 15] = [
    JWT_SECRET,
    UPSTREAM_URL,
    UPSTREAM_API_KEY,
    UPSTREAM_POOL_SIZE,
    DB_HOST,
    DB_PORT,
    DB_NAME,
    DB_USER,
    DB_PASSWORD,
    DB_POOL_SIZE,
    WORKERS,
    PROFILE,
    HOST,
    PORT,
    UPSTREAM_FAULTS,
];

/// A variable that keeps a service from starting: one line with its name, never its value.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EnvError {
    /// Required and not set.
    #[error("{0} is not set: it must be {1}")]
    Missing(&'static str, &'static str),
    /// Set to the empty string.
    #[error("{0} is empty: it must be {1}")]
    Empty(&'static str, &'static str),
    /// Not in the variable's form.
    #[error("{0} must be {1}")]
    Invalid(&'static str, &'static str),
    /// A pool smaller than the number of workers that share it.
    #[error("{0} must be at least WORKERS: every worker needs a connection of its own")]
    SmallerThanWorkers(&'static str),
    /// The former name of a variable.
    #[error("{0} is not read any more: set {1} instead")]
    Renamed(&'static str, &'static str),
}

/// Former names of variables, and the variables that replaced them.
const RENAMED: [(&str, Variable); 1] = [("CLIENTS", PROFILE)];

/// Reads variables through a lookup such as `std::env::var_os`.
#[derive(Clone, Copy, Debug)]
pub struct Environment<F>(pub F);

impl<F: Fn(&str) -> Option<OsString>> Environment<F> {
    /// Returns the text of a variable.
    ///
    /// # Errors
    /// Missing without a default, empty, or not UTF-8.
    pub fn text(&self, variable: &Variable) -> Result<String, EnvError> {
        match (self.0(variable.name), variable.default) {
            (None, None) => Err(EnvError::Missing(variable.name, variable.form)),
            (None, Some(default)) => Ok(default.to_owned()),
            (Some(value), _) if value.is_empty() => {
                Err(EnvError::Empty(variable.name, variable.form))
            }
            (Some(value), _) => value
                .into_string()
                .map_err(|_| EnvError::Invalid(variable.name, variable.form)),
        }
    }

    /// Parses the text of a variable.
    ///
    /// # Errors
    /// Those of [`Environment::text`]; `parse` returns none.
    pub fn parse<T>(
        &self,
        variable: &Variable,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, EnvError> {
        parse(&self.text(variable)?).ok_or(EnvError::Invalid(variable.name, variable.form))
    }

    /// Refuses a former name of a variable, so that its value is not ignored in silence.
    ///
    /// # Errors
    /// A former name is set.
    pub fn refuse_renamed(&self) -> Result<(), EnvError> {
        match RENAMED.iter().find(|(former, _)| self.0(former).is_some()) {
            Some((former, variable)) => Err(EnvError::Renamed(former, variable.name)),
            None => Ok(()),
        }
    }

    /// Parses a number of connections or workers.
    ///
    /// # Errors
    /// Those of [`Environment::parse`].
    pub fn count(&self, variable: &Variable) -> Result<NonZeroUsize, EnvError> {
        self.parse(variable, |text| {
            let count = text.parse().ok()?;
            (NonZeroUsize::get(count) <= COUNT_MAX).then_some(count)
        })
    }

    /// Parses the size of a pool that `workers` share.
    ///
    /// # Errors
    /// Those of [`Environment::count`]; more workers than connections.
    pub fn pool_size(
        &self,
        variable: &Variable,
        workers: NonZeroUsize,
    ) -> Result<NonZeroUsize, EnvError> {
        let size = self.count(variable)?;
        if size < workers {
            return Err(EnvError::SmallerThanWorkers(variable.name));
        }
        Ok(size)
    }

    /// Parses a port to connect to.
    ///
    /// # Errors
    /// Those of [`Environment::parse`].
    pub fn port(&self, variable: &Variable) -> Result<u16, EnvError> {
        self.parse(variable, |text| text.parse().ok().map(NonZeroU16::get))
    }

    /// Parses a switch: `0` or `1`.
    ///
    /// # Errors
    /// Those of [`Environment::parse`].
    pub fn flag(&self, variable: &Variable) -> Result<bool, EnvError> {
        self.parse(variable, |text| match text {
            "0" => Some(false),
            "1" => Some(true),
            _ => None,
        })
    }

    /// Returns the upstream's API key, which must fit into an `Authorization` header.
    ///
    /// # Errors
    /// Those of [`Environment::parse`].
    pub fn api_key(&self) -> Result<String, EnvError> {
        self.parse(&UPSTREAM_API_KEY, |text| {
            let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
            visible.then(|| text.to_owned())
        })
    }
}

/// Returns the bench values in the order of `bench.env`.
pub fn bench() -> impl Iterator<Item = (&'static str, &'static str)> {
    BENCH_ENV
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
}

/// Looks up a variable in the bench values, for [`Environment`].
#[must_use]
pub fn bench_lookup(name: &str) -> Option<OsString> {
    let (_, value) = bench().find(|(known, _)| *known == name)?;
    Some(value.into())
}

/// Returns the bench value of a variable, empty if the file does not set it.
#[must_use]
pub fn bench_value(variable: &Variable) -> &'static str {
    bench()
        .find(|(name, _)| *name == variable.name)
        .map_or("", |(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(value: Option<&str>) -> Environment<impl Fn(&str) -> Option<OsString>> {
        let value = value.map(OsString::from);
        Environment(move |_: &str| value.clone())
    }

    #[test]
    fn required_variable_that_is_missing_or_empty_is_named() {
        for (value, problem) in [(None, "is not set"), (Some(""), "is empty")] {
            let error = environment(value).text(&JWT_SECRET).unwrap_err();
            let line = format!("JWT_SECRET {problem}: it must be a text that is not empty");
            assert_eq!(error.to_string(), line);
        }
    }

    #[test]
    fn optional_variable_has_its_default_unless_it_is_empty() {
        assert_eq!(environment(None).count(&WORKERS).unwrap().get(), 1);
        let empty = environment(Some("")).count(&WORKERS);
        assert_eq!(empty, Err(EnvError::Empty("WORKERS", COUNT)));
    }

    #[test]
    fn counts_out_of_range_are_refused_without_their_value() {
        for bad in ["0", "-1", "10001", "1.5", "hunter2", " 1"] {
            let error = environment(Some(bad)).count(&DB_POOL_SIZE).unwrap_err();
            let line = "DB_POOL_SIZE must be a whole number from 1 to 10000";
            assert_eq!(error.to_string(), line);
        }
        let most = environment(Some("10000")).count(&DB_POOL_SIZE).unwrap();
        assert_eq!(most.get(), 10_000);
    }

    #[test]
    fn pool_smaller_than_the_workers_is_refused() {
        let size = |text| environment(Some(text)).pool_size(&DB_POOL_SIZE, 4.try_into().unwrap());
        assert_eq!(size("4").unwrap().get(), 4);
        let error = EnvError::SmallerThanWorkers("DB_POOL_SIZE");
        assert_eq!(size("3"), Err(error));
    }

    #[test]
    fn former_name_is_refused_and_the_new_one_named() {
        assert_eq!(environment(None).refuse_renamed(), Ok(()));
        let error = environment(Some("tuned")).refuse_renamed().unwrap_err();
        let line = "CLIENTS is not read any more: set PROFILE instead";
        assert_eq!(error.to_string(), line);
    }

    #[test]
    fn ports_and_keys_in_another_form_are_refused() {
        assert_eq!(environment(Some("5432")).port(&DB_PORT).unwrap(), 5432);
        for bad in ["0", "65536", "http"] {
            assert!(environment(Some(bad)).port(&DB_PORT).is_err());
        }
        assert_eq!(environment(Some("a-b_c")).api_key().unwrap(), "a-b_c");
        for bad in ["a b", "a\nb", "schlüssel"] {
            assert!(environment(Some(bad)).api_key().is_err());
        }
    }

    #[test]
    fn bench_file_sets_every_required_variable_and_no_unknown_one() {
        for variable in ALL.iter().filter(|variable| variable.default.is_none()) {
            assert_ne!(bench_value(variable), "", "{}", variable.name);
        }
        for (name, _) in bench() {
            assert!(ALL.iter().any(|variable| variable.name == name), "{name}");
        }
    }
}
