//! The faults: how each is injected, and which failures the contract allows while it lasts.

use std::time::Duration;

use load::scenario::Scenario;
use schema::ErrorCode;
use schema::fault::Fault as UpstreamFault;

use crate::misbehaving::Behaviour;
use crate::operation::Operation;
use crate::proxy::Mode;

/// Delay added by a slow port, in each direction.
const SLOW: Duration = Duration::from_millis(50);

/// Time after which an upstream closes idle connections.
const KEEP_ALIVE: Duration = Duration::from_millis(20);

const DATABASE: &[ErrorCode] = &[ErrorCode::DatabaseUnavailable];
const UPSTREAM: &[ErrorCode] = &[ErrorCode::UpstreamUnavailable];
const UPSTREAM_LATE: &[ErrorCode] = &[ErrorCode::UpstreamTimeout];
const UPSTREAM_ANY: &[ErrorCode] = &[ErrorCode::UpstreamUnavailable, ErrorCode::UpstreamTimeout];

/// A fault that can be injected.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Stable name, such as `postgres/stopped`.
    pub slug: String,
    /// One sentence.
    pub description: &'static str,
    pub(crate) kind: Kind,
    pub(crate) allows: Allowed,
}

/// How a fault is injected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    None,
    PostgresStopped,
    PostgresRestarted,
    PostgresTerminated,
    PostgresLocked,
    PostgresPort(Mode),
    UpstreamStopped,
    UpstreamRestarted,
    UpstreamPort(Mode),
    Upstream(UpstreamFault),
    Churn,
    Clients(Behaviour),
    Descriptors,
    Terminated,
    RollingRestart,
    Killed,
    Suspended,
    LogStalled,
}

/// A part of the contender's environment that the harness must control for a fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Requirement {
    Process,
    Upstream,
    Database,
    DatabaseServer,
}

impl Requirement {
    /// Reason why a fault cannot be injected without it.
    pub(crate) fn missing(self) -> &'static str {
        match self {
            Self::Process => "the harness did not start the contender: name a contender",
            Self::Upstream => "the contender's upstream is not the harness's: use --upstream-port",
            Self::Database => "the contender's database is not known: use --database-url",
            Self::DatabaseServer => "the harness did not start Postgres: name a contender",
        }
    }
}

/// Failures that the contract allows while a fault lasts, besides correct responses.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allowed {
    users_me: &'static [ErrorCode],
    catalog: &'static [ErrorCode],
    /// Connections may be refused.
    pub(crate) refused: bool,
    /// Connections may end without a response.
    pub(crate) broken: bool,
}

impl Allowed {
    const NOTHING: Self = Self {
        users_me: &[],
        catalog: &[],
        refused: false,
        broken: false,
    };

    /// Returns true if an operation may fail with this error of the contract.
    pub(crate) fn error(self, operation: Operation, code: ErrorCode) -> bool {
        match operation {
            Operation::Scenario(Scenario::UsersMe) => self.users_me.contains(&code),
            Operation::Scenario(Scenario::Catalog) => self.catalog.contains(&code),
            _ => false,
        }
    }
}

impl Fault {
    fn new(
        slug: impl Into<String>,
        kind: Kind,
        allows: Allowed,
        description: &'static str,
    ) -> Self {
        Self {
            slug: slug.into(),
            description,
            kind,
            allows,
        }
    }

    /// Returns the part of the environment that the fault needs.
    pub(crate) fn requirement(&self) -> Option<Requirement> {
        match self.kind {
            Kind::None | Kind::Churn | Kind::Clients(_) => None,
            Kind::PostgresTerminated | Kind::PostgresLocked => Some(Requirement::Database),
            Kind::PostgresStopped | Kind::PostgresRestarted | Kind::PostgresPort(_) => {
                Some(Requirement::DatabaseServer)
            }
            Kind::UpstreamStopped
            | Kind::UpstreamRestarted
            | Kind::UpstreamPort(_)
            | Kind::Upstream(_) => Some(Requirement::Upstream),
            Kind::Descriptors
            | Kind::Terminated
            | Kind::RollingRestart
            | Kind::Killed
            | Kind::Suspended
            | Kind::LogStalled => Some(Requirement::Process),
        }
    }
}

/// Returns all faults, in the order in which they are injected.
pub fn all() -> Vec<Fault> {
    let none = Fault::new(
        "none",
        Kind::None,
        Allowed::NOTHING,
        "No fault: the baseline.",
    );
    let mut all = vec![none];
    all.extend(postgres());
    all.extend(upstream());
    all.extend(clients());
    all.extend(process());
    all
}

/// Returns the fault with this name.
pub(crate) fn named(slug: &str) -> Option<Fault> {
    all().into_iter().find(|fault| fault.slug == slug)
}

fn postgres() -> impl Iterator<Item = Fault> {
    use Kind::{
        PostgresLocked, PostgresPort, PostgresRestarted, PostgresStopped, PostgresTerminated,
    };
    let allows = Allowed {
        users_me: DATABASE,
        ..Allowed::NOTHING
    };
    [
        (
            "postgres/stopped",
            PostgresStopped,
            "Postgres is stopped and started again.",
        ),
        (
            "postgres/restarted",
            PostgresRestarted,
            "Postgres is restarted.",
        ),
        (
            "postgres/terminated",
            PostgresTerminated,
            "pg_terminate_backend ends the contender's connections twice a second.",
        ),
        (
            "postgres/locked",
            PostgresLocked,
            "The users table is locked.",
        ),
        (
            "postgres/black-hole",
            PostgresPort(Mode::BlackHole),
            "The Postgres port drops all packets, also of new connections.",
        ),
        (
            "postgres/stalled",
            PostgresPort(Mode::Stall),
            "The Postgres port accepts connections and forwards nothing.",
        ),
        (
            "postgres/slow",
            PostgresPort(Mode::Delay(SLOW)),
            "The Postgres port adds 50 ms in each direction.",
        ),
        (
            "postgres/reset",
            PostgresPort(Mode::Reset),
            "The Postgres port resets every connection.",
        ),
        (
            "postgres/half-closed",
            PostgresPort(Mode::HalfClose),
            "The Postgres port closes its side of every connection.",
        ),
    ]
    .into_iter()
    .map(move |(slug, kind, description)| Fault::new(slug, kind, allows, description))
}

fn upstream() -> impl Iterator<Item = Fault> {
    use Kind::{UpstreamPort, UpstreamRestarted, UpstreamStopped};
    let allows = |catalog| Allowed {
        catalog,
        ..Allowed::NOTHING
    };
    let of_port = [
        (
            "upstream/stopped",
            UpstreamStopped,
            "The upstream is stopped and started again.",
        ),
        (
            "upstream/restarted",
            UpstreamRestarted,
            "The upstream is restarted.",
        ),
        (
            "upstream/black-hole",
            UpstreamPort(Mode::BlackHole),
            "The upstream port drops all packets, also of new connections.",
        ),
        (
            "upstream/slow",
            UpstreamPort(Mode::Delay(SLOW)),
            "The upstream port adds 50 ms in each direction.",
        ),
        (
            "upstream/half-closed",
            UpstreamPort(Mode::HalfClose),
            "The upstream port closes its side of every connection.",
        ),
    ];
    let of_port = of_port.into_iter().map(move |(slug, kind, description)| {
        Fault::new(slug, kind, allows(UPSTREAM_ANY), description)
    });
    let keep_alive = Fault::new(
        "upstream/keep-alive",
        UpstreamPort(Mode::Expire(KEEP_ALIVE)),
        Allowed::NOTHING,
        "The upstream port closes connections after 20 ms without a call.",
    );
    let of_contract = UpstreamFault::NAMES.into_iter().map(move |name| {
        // An example for each placeholder.
        let name = name.replace("<code>", "500").replace("<ms>", "100");
        let fault = UpstreamFault::parse(&name).expect("the contract's own name is valid");
        let catalog = match fault {
            // They end with a reset of the connections that they keep open.
            UpstreamFault::Hang | UpstreamFault::Trickle => UPSTREAM_ANY,
            UpstreamFault::Delay(_) => UPSTREAM_LATE,
            _ => UPSTREAM,
        };
        Fault::new(
            format!("upstream/{name}"),
            Kind::Upstream(fault),
            allows(catalog),
            "The upstream shows this fault of the contract.",
        )
    });
    of_port.chain([keep_alive]).chain(of_contract)
}

fn clients() -> impl Iterator<Item = Fault> {
    let nothing = Allowed::NOTHING;
    let overload = Allowed {
        users_me: DATABASE,
        catalog: UPSTREAM_LATE,
        ..nothing
    };
    [
        (
            "clients/idle",
            Kind::Clients(Behaviour::Idle),
            nothing,
            "10,000 idle connections are open, or as many as the limit of open files allows.",
        ),
        (
            "clients/slow-heads",
            Kind::Clients(Behaviour::SlowHeads),
            nothing,
            "1,000 clients send an endless request head, a byte at a time.",
        ),
        (
            "clients/slow-bodies",
            Kind::Clients(Behaviour::SlowBodies),
            nothing,
            "1,000 clients send the body of a movie, a byte at a time.",
        ),
        (
            "clients/never-read",
            Kind::Clients(Behaviour::NeverRead),
            nothing,
            "200 clients send requests without end and read no response.",
        ),
        (
            "clients/churn",
            Kind::Churn,
            nothing,
            "Every request opens a new connection.",
        ),
        (
            "clients/flood",
            Kind::Clients(Behaviour::Flood),
            overload,
            "512 clients pipeline four requests at a time in a closed loop.",
        ),
    ]
    .into_iter()
    .map(|(slug, kind, allows, description)| Fault::new(slug, kind, allows, description))
}

fn process() -> impl Iterator<Item = Fault> {
    let late = Allowed {
        users_me: DATABASE,
        catalog: UPSTREAM_ANY,
        ..Allowed::NOTHING
    };
    let refused = Allowed {
        refused: true,
        ..Allowed::NOTHING
    };
    let unlogged = Allowed {
        catalog: UPSTREAM,
        ..refused
    };
    let killed = Allowed {
        broken: true,
        ..refused
    };
    [
        (
            "process/descriptors",
            Kind::Descriptors,
            late,
            "The contender may open only four more file descriptors than it has.",
        ),
        (
            "process/terminated",
            Kind::Terminated,
            refused,
            "The contender gets SIGTERM and is started again after it has exited.",
        ),
        (
            "process/rolling",
            Kind::RollingRestart,
            Allowed::NOTHING,
            "A second instance takes new connections while the first restarts, then the reverse.",
        ),
        (
            "process/killed",
            Kind::Killed,
            killed,
            "The contender gets SIGKILL and is started again.",
        ),
        (
            "process/stopped",
            Kind::Suspended,
            late,
            "The contender gets SIGSTOP, and SIGCONT later.",
        ),
        (
            "process/log-stalled",
            Kind::LogStalled,
            unlogged,
            "Nobody reads the contender's log, a nearly full pipe, and its upstream fails.",
        ),
    ]
    .into_iter()
    .map(|(slug, kind, allows, description)| Fault::new(slug, kind, allows, description))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn fault_names_are_unique() {
        let slugs: HashSet<_> = all().into_iter().map(|fault| fault.slug).collect();
        assert_eq!(slugs.len(), all().len());
    }

    #[test]
    fn only_operations_that_depend_on_a_fault_may_fail() {
        let users_me = Operation::Scenario(Scenario::UsersMe);
        let independent = [
            Operation::Scenario(Scenario::Info),
            Operation::Scenario(Scenario::Movies),
            Operation::Data,
            Operation::DataWrongKey,
        ];
        for fault in all() {
            for code in ErrorCode::ALL {
                for operation in independent {
                    let allowed = fault.allows.error(operation, code);
                    assert!(!allowed, "{operation}: {}", fault.slug);
                }
            }
            let of_database = fault.allows.error(users_me, ErrorCode::DatabaseUnavailable);
            assert!(!of_database || !fault.slug.starts_with("upstream/"));
            assert!(!fault.allows.error(users_me, ErrorCode::UpstreamTimeout));
        }
    }
}
