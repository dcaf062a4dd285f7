//! The four scenarios of the field.

use std::fmt;

use clap::ValueEnum;
use schema::routes;
use serde::{Deserialize, Serialize};

/// A kind of request that contenders are measured with.
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// `GET /info`: a typed value as JSON.
    Info,
    /// `POST /movies`: a token and a JSON body.
    Movies,
    /// `GET /catalog`: a call of the upstream.
    Catalog,
    /// `GET /users/me`: a token and a row of Postgres.
    UsersMe,
}

impl Scenario {
    /// All scenarios, in the contract's order.
    pub const ALL: [Self; 4] = [Self::Info, Self::Movies, Self::Catalog, Self::UsersMe];

    /// Returns the name in commands, tables and files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Movies => "movies",
            Self::Catalog => "catalog",
            Self::UsersMe => "users-me",
        }
    }

    /// Returns the method of its requests.
    #[must_use]
    pub fn method(self) -> &'static str {
        match self {
            Self::Movies => "POST",
            Self::Info | Self::Catalog | Self::UsersMe => "GET",
        }
    }

    /// Returns the path of its requests.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Info => routes::INFO,
            Self::Movies => routes::MOVIES,
            Self::Catalog => routes::CATALOG,
            Self::UsersMe => routes::USERS_ME,
        }
    }

    /// Returns true if its requests carry a token.
    #[must_use]
    pub fn has_token(self) -> bool {
        matches!(self, Self::Movies | Self::UsersMe)
    }

    /// Returns the status of a right answer.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Movies => 201,
            Self::Info | Self::Catalog | Self::UsersMe => 200,
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}
