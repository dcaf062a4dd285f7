//! How a worker reaches the upstream and Postgres, in two profiles with the same promises. `CLIENTS`
//! chooses one at the start; what both do alike is in `upstream` and `database`.

mod database;
mod idiomatic;
mod tuned;
mod upstream;

use bytes::Bytes;
use schema::Profile;
use tower::BoxError;

use crate::config::{Clients, DatabaseConfig, UpstreamConfig};
use crate::error::Error;

/// One worker's connections to the upstream.
pub(crate) enum Catalog {
    Idiomatic(idiomatic::Catalog),
    Tuned(tuned::Catalog),
}

impl Catalog {
    pub(crate) fn new(
        clients: Clients,
        config: &UpstreamConfig,
        connections: usize,
    ) -> Result<Self, BoxError> {
        Ok(match clients {
            Clients::Idiomatic => Self::Idiomatic(idiomatic::Catalog::new(config, connections)?),
            Clients::Tuned => Self::Tuned(tuned::Catalog::new(config, connections)?),
        })
    }

    /// The body of `{UPSTREAM_URL}/data`. The deadline covers everything, the wait for a free
    /// connection included, for which half of it may be spent.
    pub(crate) async fn fetch(&self) -> Result<Bytes, Error> {
        match self {
            Self::Idiomatic(catalog) => catalog.fetch().await,
            Self::Tuned(catalog) => catalog.fetch().await,
        }
    }
}

/// One worker's connections to Postgres.
pub(crate) enum Users {
    Idiomatic(idiomatic::Users),
    Tuned(Box<tuned::Users>),
}

impl Users {
    pub(crate) fn new(clients: Clients, config: &DatabaseConfig, connections: usize) -> Self {
        match clients {
            Clients::Idiomatic => Self::Idiomatic(idiomatic::Users::new(config, connections)),
            Clients::Tuned => Self::Tuned(Box::new(tuned::Users::new(config, connections))),
        }
    }

    /// The user's row, if there is one.
    pub(crate) async fn find(&self, id: &str) -> Result<Option<Profile>, Error> {
        // Postgres cannot store NUL in a text, so no user has such an id.
        if id.contains('\0') {
            return Ok(None);
        }
        match self {
            // In a box: what sqlx's pool may have to do is large, and the tuned ones would carry it.
            Self::Idiomatic(users) => Box::pin(users.find(id)).await,
            Self::Tuned(users) => users.find(id).await,
        }
    }
}
