//! What the load asks in turn: of a contender the four scenarios, of an upstream the product.

use std::fmt;

use schema::{ErrorCode, routes};

use load::scenario::Scenario;

/// What one request asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Route {
    Scenario(Scenario),
    /// The product of an upstream.
    Data,
    /// The same with another key, which an upstream refuses.
    WrongKey,
}

/// The requests of a round, one after the other.
pub(super) type Round = [Route; 4];

/// What a contender is asked.
pub(super) fn of_contender() -> Round {
    Scenario::ALL.map(Route::Scenario)
}

/// What an upstream is asked.
pub(super) const OF_UPSTREAM: Round = [Route::Data, Route::Data, Route::Data, Route::WrongKey];

impl Route {
    /// The method of its requests.
    pub(super) fn method(self) -> &'static str {
        match self {
            Self::Scenario(scenario) => scenario.method(),
            Self::Data | Self::WrongKey => "GET",
        }
    }

    /// The path of its requests.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Scenario(scenario) => scenario.path(),
            Self::Data | Self::WrongKey => routes::UPSTREAM_DATA,
        }
    }

    /// The status of a right answer.
    pub(super) fn status(self) -> u16 {
        match self {
            Self::Scenario(scenario) => scenario.status(),
            Self::Data => 200,
            Self::WrongKey => ErrorCode::InvalidApiKey.status(),
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Scenario(scenario) => scenario.name(),
            Self::Data => "data",
            Self::WrongKey => "wrong-key",
        })
    }
}
