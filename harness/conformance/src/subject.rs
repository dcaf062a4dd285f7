//! The subject of the checks: a contender, and those of its dependencies that the harness controls.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use schema::{Claims, fixtures, routes};
use testbed::secrets::Secrets;
use testbed::{raw, token};

use crate::client::{CONNECTIONS, Client, Exchange, TIMEOUT};
use crate::database::{self, Database};
use crate::request::Request;
use crate::upstream::{self, Behaviour, RecordingUpstream};
use crate::verdict::{Failure, Verdict};
use crate::{Dependency, random};

/// Delay of the upstream while the contender's concurrency is probed.
const PROBE_DELAY: Duration = Duration::from_millis(300);

/// Time for one of several addresses to accept a connection.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(1);

/// Attempts to get any response from a contender that lost one: a supervisor of its own may restart
/// it after a crash.
const ATTEMPTS: usize = 4;

/// Time between two attempts.
const ATTEMPT_INTERVAL: Duration = Duration::from_millis(500);

/// A path without a route, for a contender that hangs on those of the contract.
const UNKNOWN_PATH: &str = "/nowhere";

/// The address of a contender: an `http` URL of host, port and path.
#[derive(Clone, Debug)]
pub struct Target {
    address: SocketAddr,
    host: String,
    prefix: String,
}

impl Target {
    /// Parses the URL of a contender and resolves its host. Of several addresses it takes the first that
    /// accepts a connection, or the first of all.
    ///
    /// # Errors
    /// It is not an `http://` URL, or its host is not known.
    pub fn at(url: &str) -> Result<Self> {
        let rest = url.strip_prefix("http://");
        let rest = rest.with_context(|| format!("{url} is not an http:// URL"))?;
        let (host, prefix) = match rest.split_once('/') {
            Some((host, path)) => (host, format!("/{}", path.trim_end_matches('/'))),
            None => (rest, String::new()),
        };
        ensure!(
            !prefix.contains(['?', '#']) && !host.contains('@') && !host.is_empty(),
            "{url} is not a URL of host, port and path"
        );
        let has_port = host.rsplit_once(':').is_some_and(|(name, port)| {
            !name.is_empty() && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
        });
        let with_port = match has_port {
            true => host.to_owned(),
            false => format!("{host}:80"),
        };
        let addresses = with_port.to_socket_addrs();
        let addresses: Vec<_> = addresses
            .with_context(|| format!("looking up {host}"))?
            .collect();
        let address = first_accepting(&addresses);
        let address = address.with_context(|| format!("{host} has no address"))?;
        Ok(Self {
            address,
            host: host.to_owned(),
            prefix: if prefix == "/" { String::new() } else { prefix },
        })
    }

    /// Creates a target at an address of this machine.
    #[must_use]
    pub fn local(address: SocketAddr) -> Self {
        Self {
            address,
            host: address.to_string(),
            prefix: String::new(),
        }
    }

    /// Returns the address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns host and port as in the URL, and the start of every path.
    pub fn host_and_prefix(&self) -> (String, String) {
        (self.host.clone(), self.prefix.clone())
    }
}

/// Returns the first address that accepts a connection, or the first of all.
fn first_accepting(addresses: &[SocketAddr]) -> Option<SocketAddr> {
    let accepts =
        |address: &&SocketAddr| raw::Connection::open_within(**address, ADDRESS_TIMEOUT).is_ok();
    let accepting = match addresses {
        [only] => Some(only),
        several => several.iter().find(accepts),
    };
    accepting.or(addresses.first()).copied()
}

/// A contender under check.
pub struct Subject {
    pub(crate) client: Client,
    /// The secrets that the contender knows.
    pub secrets: Secrets,
    upstream: Option<RecordingUpstream>,
    database: Option<Database>,
    /// True if the contender answers one request while another waits for the upstream.
    is_concurrent: OnceLock<bool>,
    /// Requests per connection where a check sends thousands.
    burst: AtomicUsize,
    /// The responses to thousands of `GET /info`, and of `POST /movies` with k6's movie.
    bursts: [OnceLock<Result<Vec<Exchange>, Failure>>; 2],
    /// True once the contender answers nothing: no more requests are sent.
    is_gone: AtomicBool,
    /// Held while a check finds out if the contender is gone.
    attempts: Mutex<()>,
}

impl Subject {
    /// Creates the subject from the contender and its known dependencies.
    #[must_use]
    pub fn new(
        target: Target,
        secrets: Secrets,
        upstream: Option<RecordingUpstream>,
        database: Option<Database>,
    ) -> Self {
        Self {
            client: Client::new(target.address, target.host, target.prefix),
            secrets,
            upstream,
            database,
            is_concurrent: OnceLock::new(),
            burst: AtomicUsize::new(1),
            bursts: Default::default(),
            is_gone: AtomicBool::new(false),
            attempts: Mutex::new(()),
        }
    }

    /// Returns true if any response comes to `GET /info` or to an unknown path.
    fn is_answering(&self) -> bool {
        let is_answered = |path: &str| self.client.is_answered(&self.get(path));
        scope(|scope| {
            let unknown = scope.spawn(|| is_answered(UNKNOWN_PATH));
            is_answered(routes::INFO) || unknown.join().unwrap_or(false)
        })
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Relaxed)
    }

    /// Finds out, after a check that lost a response, if any response comes at all. Without one the
    /// rest of the checks is not run, as each would wait for its timeout.
    pub(crate) fn probe_after_failure(&self) {
        let _guard = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_gone() || !self.client.has_lost_any() {
            return;
        }
        let started = Instant::now();
        for _ in 0..ATTEMPTS {
            if self.is_answering() {
                return;
            }
            if started.elapsed() >= TIMEOUT {
                break;
            }
            sleep(ATTEMPT_INTERVAL);
        }
        self.is_gone.store(true, Ordering::Relaxed);
    }

    /// Returns the requests per connection where a check sends thousands.
    pub(crate) fn burst(&self) -> usize {
        self.burst.load(Ordering::Relaxed)
    }

    pub(crate) fn set_burst(&self, burst: usize) {
        self.burst.store(burst, Ordering::Relaxed);
    }

    /// Sends a request on 100 connections at the same time, `each` times one after the other on each, or
    /// fewer times where the run asks for a smaller burst.
    pub(crate) fn send_burst(
        &self,
        request: &Request,
        each: usize,
    ) -> impl Iterator<Item = Result<Exchange, Failure>> + use<> {
        let list = vec![request.clone(); each.min(self.burst())];
        let lists = vec![list; CONNECTIONS];
        self.client.send_at_once(lists).into_iter().flatten()
    }

    /// Returns the responses to thousands of `GET /info`. They are sent once: several checks judge them.
    pub(crate) fn info_burst(&self) -> Verdict<&[Exchange]> {
        self.kept_burst(0, || self.get(routes::INFO))
    }

    /// Returns the responses to thousands of k6's `POST /movies`, likewise.
    pub(crate) fn movies_burst(&self) -> Verdict<&[Exchange]> {
        self.kept_burst(1, || self.post_k6_movie())
    }

    fn kept_burst(&self, index: usize, request: impl Fn() -> Request) -> Verdict<&[Exchange]> {
        let kept =
            self.bursts[index].get_or_init(|| self.send_burst(&request(), self.burst()).collect());
        Ok(kept.as_ref().map_err(Failure::clone)?)
    }

    /// Returns the first of these dependencies that the harness does not control.
    pub(crate) fn lacks(&self, needs: &[Dependency]) -> Option<Dependency> {
        needs.iter().copied().find(|dependency| match dependency {
            Dependency::Upstream => self.upstream.is_none(),
            Dependency::Database => self.database.is_none(),
            Dependency::DatabaseServer => !self.database.as_ref().is_some_and(Database::is_own),
        })
    }

    /// Locks the upstream for a check that needs [`Dependency::Upstream`].
    ///
    /// # Errors
    /// The harness does not control the upstream.
    pub fn upstream(&self) -> Result<upstream::Guard<'_>> {
        let upstream = self.upstream_if_any();
        upstream.context(Dependency::Upstream.missing())
    }

    /// Locks the database for a check that needs [`Dependency::Database`].
    ///
    /// # Errors
    /// The harness does not control the database.
    pub fn database(&self) -> Result<database::Guard<'_>> {
        let database = self.database_if_any();
        database.context(Dependency::Database.missing())
    }

    /// Locks the upstream, if the harness controls it, so that a request is not counted among the calls
    /// of another check.
    pub(crate) fn upstream_if_any(&self) -> Option<upstream::Guard<'_>> {
        self.upstream.as_ref().map(RecordingUpstream::lock)
    }

    /// Locks the database, if the harness controls it.
    pub(crate) fn database_if_any(&self) -> Option<database::Guard<'_>> {
        self.database.as_ref().map(Database::lock)
    }

    /// Keeps other checks from delaying a contender that handles one request at a time.
    pub(crate) fn lock_if_serial(&self) -> Option<upstream::Guard<'_>> {
        let is_concurrent = *self.is_concurrent.get_or_init(|| self.probe_concurrency());
        if is_concurrent {
            None
        } else {
            self.upstream_if_any()
        }
    }

    /// Returns true if `/info` is answered while `/catalog` waits for the upstream.
    fn probe_concurrency(&self) -> bool {
        let Some(upstream) = self.upstream_if_any() else {
            return false;
        };
        let product = fixtures::PRODUCT_JSON.as_bytes();
        upstream.behave(Behaviour::Product(product.into(), PROBE_DELAY));
        scope(|scope| {
            let waiting = scope.spawn(|| self.send(self.get(routes::CATALOG)).is_ok());
            let is_called = upstream.is_called(1, PROBE_DELAY);
            let info = self.send(self.get(routes::INFO));
            is_called && !waiting.is_finished() && info.is_ok()
        })
    }

    /// Creates a `GET` of k6's form.
    pub(crate) fn get(&self, path: &str) -> Request {
        self.client.request("GET", path)
    }

    /// Creates a token of k6's form.
    pub(crate) fn token(&self, claims: &Claims) -> String {
        token::sign(claims, &self.secrets.jwt_secret)
    }

    /// Creates a `GET /users/me` of k6's form.
    pub(crate) fn get_me(&self, claims: &Claims) -> Request {
        self.get(routes::USERS_ME).token(&self.token(claims))
    }

    /// Creates a `POST /movies` with a token, and without a body or its type.
    pub(crate) fn post_without_body(&self, claims: &Claims) -> Request {
        let request = self.client.request("POST", routes::MOVIES);
        request.token(&self.token(claims))
    }

    /// Creates a `POST /movies` of k6's form with this body.
    pub(crate) fn post_movie(&self, claims: &Claims, body: impl Into<Vec<u8>>) -> Request {
        self.post_without_body(claims).json(body)
    }

    /// Creates a `POST /movies` of k6's form with k6's user and movie.
    pub(crate) fn post_k6_movie(&self) -> Request {
        self.post_movie(&fixtures::claims(), random::k6_movie())
    }

    /// Sends a request on a connection of its own.
    pub(crate) fn send(&self, request: Request) -> Verdict<Exchange> {
        self.client.send_within(request, TIMEOUT)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn address_that_refuses_is_skipped() {
        let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
        let accepting = listen();
        let refusing = listen().local_addr().unwrap();
        let address = accepting.local_addr().unwrap();
        assert_eq!(first_accepting(&[refusing, address]), Some(address));
        assert_eq!(first_accepting(&[refusing, refusing]), Some(refusing));
    }
}
