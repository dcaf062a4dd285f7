//! What is checked: a contender, and as much of its surroundings as is in the harness's hands.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use schema::{Claims, fixtures, routes};

use super::client::{Client, PATIENCE};
use super::database::{self, Database};
use super::request::Request;
use super::upstream::{self, Behaviour, RecordingUpstream};
use super::verdict::Failure;
use super::{Side, random};
use testbed::postgres::TemporaryPostgres;
use testbed::secrets::Secrets;
use testbed::token;

/// How long the upstream waits while the contender is asked whether it can do something else.
const PROBE_DELAY: Duration = Duration::from_millis(300);

/// How often it is looked whether any answer comes, if a look takes no time: who has crashed may be
/// started again by its own means.
const LOOKS: usize = 4;

/// Time between two of them.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// A path without a route: who hangs on one of those that have one may answer here.
const NOWHERE: &str = "/nowhere";

/// Where a contender serves: an `http` URL of host, port and path.
#[derive(Clone, Debug)]
pub struct Target {
    address: SocketAddr,
    host: String,
    prefix: String,
}

impl Target {
    /// The contender at this URL.
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
        let with_port = if has_port {
            host.to_owned()
        } else {
            format!("{host}:80")
        };
        let mut addresses = with_port
            .to_socket_addrs()
            .with_context(|| format!("looking up {host}"))?;
        let Some(address) = addresses.next() else {
            bail!("{host} has no address");
        };
        Ok(Self {
            address,
            host: host.to_owned(),
            prefix: if prefix == "/" { String::new() } else { prefix },
        })
    }

    /// A contender at an address of this machine.
    #[must_use]
    pub fn local(address: SocketAddr) -> Self {
        Self {
            address,
            host: address.to_string(),
            prefix: String::new(),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its host and port as its URL has them, and what every path begins with.
    pub fn host_and_prefix(&self) -> (String, String) {
        (self.host.clone(), self.prefix.clone())
    }
}

/// The upstream's side: listens before the contender starts.
#[derive(Debug)]
pub struct UpstreamSide(RecordingUpstream);

impl UpstreamSide {
    /// Listens; port 0 takes a free one.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn start(host: IpAddr, port: u16, secrets: &Secrets) -> Result<Self> {
        RecordingUpstream::start(host, port, &secrets.api_key).map(Self)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }
}

/// The database's side.
#[derive(Debug)]
pub struct DatabaseSide(Database);

impl DatabaseSide {
    /// The seeded database at this URL.
    ///
    /// # Errors
    /// Nobody answers there, or there is no table `users`.
    pub fn at(url: &str) -> Result<Self> {
        Database::at(url).map(Self)
    }

    /// A server of the harness's own, which can be stopped too.
    ///
    /// # Errors
    /// Nobody answers there.
    pub fn of(server: TemporaryPostgres) -> Result<Self> {
        Database::of(server).map(Self)
    }
}

/// A contender under check.
pub struct Subject {
    pub client: Client,
    pub secrets: Secrets,
    upstream: Option<RecordingUpstream>,
    database: Option<Database>,
    /// Whether it answers one request while another waits for the upstream.
    is_concurrent: OnceLock<bool>,
    /// Requests on each connection where thousands are asked for.
    burst: AtomicUsize,
    /// Whether it is asked no more.
    is_gone: AtomicBool,
    /// Who looks whether it is gone looks alone.
    look: Mutex<()>,
}

impl Subject {
    /// A contender with what is known of its surroundings.
    #[must_use]
    pub fn new(
        target: Target,
        secrets: Secrets,
        upstream: Option<UpstreamSide>,
        database: Option<DatabaseSide>,
    ) -> Self {
        Self {
            client: Client::new(target.address, target.host, target.prefix),
            secrets,
            upstream: upstream.map(|side| side.0),
            database: database.map(|side| side.0),
            is_concurrent: OnceLock::new(),
            burst: AtomicUsize::new(1),
            is_gone: AtomicBool::new(false),
            look: Mutex::new(()),
        }
    }

    /// Whether anything comes to `GET /info`, or to a path that nobody has.
    fn is_answering(&self) -> bool {
        let is_answered = |path: &str| self.client.is_answered(&self.get(path));
        scope(|scope| {
            let nowhere = scope.spawn(|| is_answered(NOWHERE));
            is_answered(routes::INFO) || nowhere.join().unwrap_or(false)
        })
    }

    /// Whether it answered no more when [`Subject::look_after`] looked.
    pub fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Relaxed)
    }

    /// After a check that failed: if an answer did not come, looks whether any comes at all. Nobody
    /// waits for each of the checks that are left if none does.
    pub fn look_after(&self) {
        let _alone = self.look.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_gone() || !self.client.has_lost_any() {
            return;
        }
        let begun = Instant::now();
        for _ in 0..LOOKS {
            if self.is_answering() {
                return;
            }
            if begun.elapsed() >= PATIENCE {
                break;
            }
            sleep(BETWEEN_LOOKS);
        }
        self.is_gone.store(true, Ordering::Relaxed);
    }

    /// So many requests on each connection, or fewer where fewer are asked for.
    pub fn each(&self, requests: usize) -> usize {
        self.burst().min(requests)
    }

    /// Requests on each connection where thousands are asked for.
    pub fn burst(&self) -> usize {
        self.burst.load(Ordering::Relaxed)
    }

    /// Asks for so many requests on each connection where thousands are asked for.
    pub fn set_burst(&self, burst: usize) {
        self.burst.store(burst, Ordering::Relaxed);
    }

    /// The first of these sides that is not in the harness's hands.
    pub fn lacks(&self, needs: &[Side]) -> Option<Side> {
        needs.iter().copied().find(|side| match side {
            Side::Upstream => self.upstream.is_none(),
            Side::Database => self.database.is_none(),
            Side::DatabaseServer => !self.database.as_ref().is_some_and(Database::is_own),
        })
    }

    /// A turn with the upstream; a check that asks for it needs [`Side::Upstream`].
    pub fn upstream(&self) -> Result<upstream::Turn<'_>> {
        let upstream = self.upstream.as_ref();
        Ok(upstream.context(Side::Upstream.missing())?.turn())
    }

    /// A turn with the database; a check that asks for it needs [`Side::Database`].
    pub fn database(&self) -> Result<database::Turn<'_>> {
        let database = self.database.as_ref();
        Ok(database.context(Side::Database.missing())?.turn())
    }

    /// A turn with the upstream, if it is in the harness's hands: for what must not count among
    /// another check's calls.
    pub fn upstream_if_any(&self) -> Option<upstream::Turn<'_>> {
        self.upstream.as_ref().map(RecordingUpstream::turn)
    }

    /// A turn with the database, if it is in the harness's hands.
    pub fn database_if_any(&self) -> Option<database::Turn<'_>> {
        self.database.as_ref().map(Database::turn)
    }

    /// While this is held, nothing else makes a contender wait that does one thing at a time.
    pub fn alone(&self) -> Option<upstream::Turn<'_>> {
        let concurrent = *self.is_concurrent.get_or_init(|| self.probe());
        if concurrent {
            None
        } else {
            self.upstream_if_any()
        }
    }

    /// Whether `/info` answers while `/catalog` waits for the upstream.
    fn probe(&self) -> bool {
        let Some(upstream) = self.upstream_if_any() else {
            return false;
        };
        let product = fixtures::PRODUCT_JSON.as_bytes();
        upstream.behave(Behaviour::Product(product.into(), PROBE_DELAY));
        scope(|scope| {
            let waiting = scope.spawn(|| self.client.ask(self.get(routes::CATALOG)));
            let called = upstream.is_called(1, PROBE_DELAY);
            let info = self.client.ask(self.get(routes::INFO));
            let meanwhile = !waiting.is_finished();
            called && meanwhile && info.is_ok()
        })
    }

    /// A `GET` of k6's form.
    pub fn get(&self, path: &str) -> Request {
        self.client.get(path)
    }

    /// A token of k6's form.
    pub fn token(&self, claims: &Claims) -> String {
        token::sign(claims, &self.secrets.jwt_secret)
    }

    /// `GET /users/me` of k6's form.
    pub fn get_me(&self, claims: &Claims) -> Request {
        self.get(routes::USERS_ME).token(&self.token(claims))
    }

    /// `POST /movies` of k6's form, with this body.
    pub fn post_movie(&self, claims: &Claims, body: impl Into<Vec<u8>>) -> Request {
        self.client
            .request("POST", routes::MOVIES)
            .token(&self.token(claims))
            .json(body)
    }

    /// As [`Subject::post_movie`], with k6's user and body.
    pub fn post_k6_movie(&self) -> Request {
        self.post_movie(&fixtures::claims(), random::k6_movie())
    }

    /// Sends a request on a connection of its own.
    pub fn ask(&self, request: Request) -> Result<super::client::Exchange, Failure> {
        self.client.ask(request)
    }
}
