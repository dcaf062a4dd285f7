//! The operations of the steady load: the four scenarios of a contender, or the product of an
//! upstream with the right and with a wrong key.

use std::fmt;

use load::scenario::Scenario;
use schema::{ErrorCode, routes};

/// The kind of one request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Operation {
    Scenario(Scenario),
    /// The product of an upstream.
    Data,
    /// The same with another key, which an upstream refuses.
    DataWrongKey,
}

/// Operations that are sent in turn.
pub(crate) type Cycle = [Operation; 4];

/// Operations of an upstream.
pub(crate) const UPSTREAM_CYCLE: Cycle = [
    Operation::Data,
    Operation::Data,
    Operation::Data,
    Operation::DataWrongKey,
];

/// Returns the operations of a contender.
pub(crate) fn contender_cycle() -> Cycle {
    Scenario::ALL.map(Operation::Scenario)
}

impl Operation {
    /// Returns the request method.
    pub(crate) fn method(self) -> &'static str {
        match self {
            Self::Scenario(scenario) => scenario.method(),
            Self::Data | Self::DataWrongKey => "GET",
        }
    }

    /// Returns the request path.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Scenario(scenario) => scenario.path(),
            Self::Data | Self::DataWrongKey => routes::UPSTREAM_DATA,
        }
    }

    /// Returns the status of a correct response.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::Scenario(scenario) => scenario.status(),
            Self::Data => 200,
            Self::DataWrongKey => ErrorCode::InvalidApiKey.status(),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Scenario(scenario) => scenario.name(),
            Self::Data => "data",
            Self::DataWrongKey => "wrong-key",
        })
    }
}
