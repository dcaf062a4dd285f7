//! The faults: what each is, what it needs of the contender's surroundings, and what the contract
//! allows a contender while it lasts.

use std::time::Duration;

use schema::ErrorCode;
use schema::fault::Fault as UpstreamFault;

use super::crowd::Crowd;
use super::proxy::Mode;
use super::route::Route;
use load::scenario::Scenario;

/// Delay of a slow port, in each direction.
const SLOW: Duration = Duration::from_millis(50);

const DATABASE: &[ErrorCode] = &[ErrorCode::DatabaseUnavailable];
const UPSTREAM: &[ErrorCode] = &[ErrorCode::UpstreamUnavailable];
const UPSTREAM_LATE: &[ErrorCode] = &[ErrorCode::UpstreamTimeout];
const UPSTREAM_ANY: &[ErrorCode] = &[ErrorCode::UpstreamUnavailable, ErrorCode::UpstreamTimeout];

/// One way to make a contender's life hard.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Its name, which never changes: `postgres/stopped`.
    pub slug: String,
    /// What is done, as a sentence.
    pub what: &'static str,
    pub(super) kind: Kind,
    pub(super) allows: Allows,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Nothing,
    PostgresStopped,
    PostgresRestarted,
    PostgresCut,
    PostgresLocked,
    PostgresPort(Mode),
    UpstreamStopped,
    UpstreamRestarted,
    UpstreamPort(Mode),
    Upstream(UpstreamFault),
    Churn,
    Clients(Crowd),
    Descriptors,
    Terminated,
    Rolling,
    Killed,
    Stopped,
    Clock,
}

/// What of a contender's surroundings a fault needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Need {
    /// Its process.
    Process,
    /// Its upstream.
    Upstream,
    /// A connection to its database.
    Database,
    /// The server of its database.
    DatabaseServer,
}

impl Need {
    /// Why a fault cannot be brought about without it.
    pub(super) fn missing(self) -> &'static str {
        match self {
            Self::Process => "the contender's process is not the harness's: name a contender",
            Self::Upstream => "the contender's upstream is not the harness's: --upstream-port",
            Self::Database => "the contender's database is not known: --database-url",
            Self::DatabaseServer => {
                "the contender's database server is not the harness's: name a contender"
            }
        }
    }
}

/// What the contract allows while a fault lasts, beside right answers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Allows {
    users_me: &'static [ErrorCode],
    catalog: &'static [ErrorCode],
    /// That nobody listens.
    pub(super) refused: bool,
    /// That connections end without an answer.
    pub(super) broken: bool,
}

impl Allows {
    const NOTHING: Self = Self {
        users_me: &[],
        catalog: &[],
        refused: false,
        broken: false,
    };

    /// Whether a request may be answered so.
    pub(super) fn error(self, route: Route, code: ErrorCode) -> bool {
        match route {
            Route::Scenario(Scenario::UsersMe) => self.users_me.contains(&code),
            Route::Scenario(Scenario::Catalog) => self.catalog.contains(&code),
            Route::Scenario(Scenario::Info | Scenario::Movies) | Route::Data | Route::WrongKey => {
                false
            }
        }
    }
}

impl Fault {
    fn new(slug: &str, kind: Kind, allows: Allows, what: &'static str) -> Self {
        Self {
            slug: slug.to_owned(),
            what,
            kind,
            allows,
        }
    }

    /// What it needs.
    pub(super) fn needs(&self) -> Option<Need> {
        match self.kind {
            Kind::Nothing | Kind::Churn | Kind::Clients(_) => None,
            Kind::PostgresCut | Kind::PostgresLocked => Some(Need::Database),
            Kind::PostgresStopped | Kind::PostgresRestarted | Kind::PostgresPort(_) => {
                Some(Need::DatabaseServer)
            }
            Kind::UpstreamStopped
            | Kind::UpstreamRestarted
            | Kind::UpstreamPort(_)
            | Kind::Upstream(_) => Some(Need::Upstream),
            Kind::Descriptors
            | Kind::Terminated
            | Kind::Rolling
            | Kind::Killed
            | Kind::Stopped
            | Kind::Clock => Some(Need::Process),
        }
    }
}

/// All of them, in the order in which they are brought about.
pub fn all() -> Vec<Fault> {
    let mut all = vec![Fault::new(
        "none",
        Kind::Nothing,
        Allows::NOTHING,
        "Nothing: what the faults are compared with.",
    )];
    all.extend(postgres());
    all.extend(upstream());
    all.extend(clients());
    all.extend(process());
    all
}

fn postgres() -> [Fault; 9] {
    let allows = Allows {
        users_me: DATABASE,
        ..Allows::NOTHING
    };
    let port = Kind::PostgresPort;
    [
        (
            "stopped",
            Kind::PostgresStopped,
            "Postgres is stopped, and started again.",
        ),
        (
            "restarted",
            Kind::PostgresRestarted,
            "Postgres is restarted.",
        ),
        (
            "terminated",
            Kind::PostgresCut,
            "The contender's connections are ended by pg_terminate_backend, twice in a second.",
        ),
        (
            "locked",
            Kind::PostgresLocked,
            "The table of users is locked.",
        ),
        (
            "black-hole",
            port(Mode::BlackHole),
            "The port of Postgres answers nothing, nor who connects.",
        ),
        (
            "stalled",
            port(Mode::Stall),
            "The port of Postgres takes connections, and nothing passes.",
        ),
        (
            "slow",
            port(Mode::Delay(SLOW)),
            "What passes the port of Postgres takes 50 ms more, each way.",
        ),
        (
            "reset",
            port(Mode::Reset),
            "The port of Postgres resets every connection.",
        ),
        (
            "half-closed",
            port(Mode::HalfClose),
            "The port of Postgres closes its side of every connection.",
        ),
    ]
    .map(|(name, kind, what)| Fault::new(&format!("postgres/{name}"), kind, allows, what))
}

fn upstream() -> Vec<Fault> {
    let allows = |catalog| Allows {
        catalog,
        ..Allows::NOTHING
    };
    let port = Kind::UpstreamPort;
    let mut faults = [
        (
            "stopped",
            Kind::UpstreamStopped,
            "The upstream is stopped, and started again.",
        ),
        (
            "restarted",
            Kind::UpstreamRestarted,
            "The upstream is restarted.",
        ),
        (
            "black-hole",
            port(Mode::BlackHole),
            "The port of the upstream answers nothing, nor who connects.",
        ),
        (
            "slow",
            port(Mode::Delay(SLOW)),
            "What passes the port of the upstream takes 50 ms more, each way.",
        ),
        (
            "half-closed",
            port(Mode::HalfClose),
            "The port of the upstream closes its side of every connection.",
        ),
    ]
    .map(|(name, kind, what)| {
        Fault::new(
            &format!("upstream/{name}"),
            kind,
            allows(UPSTREAM_ANY),
            what,
        )
    })
    .to_vec();
    faults.extend(UpstreamFault::NAMES.map(|name| {
        // A status and a delay that a service meets.
        let name = name.replace("<code>", "500").replace("<ms>", "100");
        let fault = UpstreamFault::parse(&name).expect("what is shown is a fault of the contract");
        // Those that keep a connection are ended by its reset.
        let catalog = match fault {
            UpstreamFault::Hang | UpstreamFault::Trickle => UPSTREAM_ANY,
            UpstreamFault::Delay(_) => UPSTREAM_LATE,
            _ => UPSTREAM,
        };
        Fault::new(
            &format!("upstream/{name}"),
            Kind::Upstream(fault),
            allows(catalog),
            "The upstream shows this fault of the contract.",
        )
    }));
    faults
}

fn clients() -> [Fault; 6] {
    let nothing = Allows::NOTHING;
    let overload = Allows {
        users_me: DATABASE,
        catalog: UPSTREAM_LATE,
        ..nothing
    };
    let crowd = Kind::Clients;
    [
        (
            "idle",
            crowd(Crowd::Idle),
            nothing,
            "10,000 connections are open on which nothing is asked, or as many as this machine lets the harness have.",
        ),
        (
            "slow-heads",
            crowd(Crowd::SlowHeads),
            nothing,
            "1,000 clients send the head of a request a byte at a time, without an end.",
        ),
        (
            "slow-bodies",
            crowd(Crowd::SlowBodies),
            nothing,
            "1,000 clients send the body of a movie a byte at a time.",
        ),
        (
            "never-read",
            crowd(Crowd::NeverRead),
            nothing,
            "200 clients send request after request and read no answer.",
        ),
        (
            "churn",
            Kind::Churn,
            nothing,
            "Every request has a connection of its own.",
        ),
        (
            "flood",
            crowd(Crowd::Flood),
            overload,
            "512 clients with four requests each on the way, and another four when they are answered.",
        ),
    ]
    .map(|(name, kind, allows, what)| Fault::new(&format!("clients/{name}"), kind, allows, what))
}

fn process() -> [Fault; 6] {
    let late = Allows {
        users_me: DATABASE,
        catalog: UPSTREAM_ANY,
        ..Allows::NOTHING
    };
    let refused = Allows {
        refused: true,
        ..Allows::NOTHING
    };
    let killed = Allows {
        broken: true,
        ..refused
    };
    [
        (
            "descriptors",
            Kind::Descriptors,
            late,
            "The contender may open four descriptors more than it has.",
        ),
        (
            "terminated",
            Kind::Terminated,
            refused,
            "The contender gets SIGTERM, and is started again when it has ended.",
        ),
        (
            "rolling",
            Kind::Rolling,
            Allows::NOTHING,
            "A second contender takes new connections while the first gets SIGTERM and is started again; then the other way round.",
        ),
        (
            "killed",
            Kind::Killed,
            killed,
            "The contender gets SIGKILL, and is started again.",
        ),
        (
            "stopped",
            Kind::Stopped,
            late,
            "The contender gets SIGSTOP, and SIGCONT later.",
        ),
        (
            "clock",
            Kind::Clock,
            Allows::NOTHING,
            "A second contender takes over, whose time of day jumps an hour ahead, two back, a day ahead, and is right again.",
        ),
    ]
    .map(|(name, kind, allows, what)| Fault::new(&format!("process/{name}"), kind, allows, what))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::route::of_contender;
    use super::*;

    #[test]
    fn every_fault_has_a_name_of_its_own() {
        let slugs: HashSet<_> = all().into_iter().map(|fault| fault.slug).collect();
        assert_eq!(slugs.len(), all().len());
    }

    #[test]
    fn only_what_depends_on_a_fault_may_fail_by_it() {
        let [info, movies, _, users_me] = of_contender();
        for fault in all() {
            for code in ErrorCode::ALL {
                for route in [info, movies, Route::Data, Route::WrongKey] {
                    assert!(!fault.allows.error(route, code), "{route}: {}", fault.slug);
                }
            }
            let of_database = fault.allows.error(users_me, ErrorCode::DatabaseUnavailable);
            assert!(!of_database || !fault.slug.starts_with("upstream/"));
            assert!(!fault.allows.error(users_me, ErrorCode::UpstreamTimeout));
        }
    }
}
