//! The state that the handlers of one worker share. `PROFILE` is looked at here and nowhere else:
//! handlers see no difference.

use bytes::Bytes;
use schema::{Claims, Profile};
use serve::Worker;
use tower::BoxError;

use crate::auth::Verifier;
use crate::config::{Config, TargetProfile};
use crate::database::Database;
use crate::error::Error;
use crate::tuned;
use crate::upstream::Upstream;

/// One worker's state, built once.
pub struct AppState(Services);

enum Services {
    Idiomatic {
        verifier: Verifier,
        upstream: Upstream,
        database: Database,
    },
    Tuned {
        verifier: tuned::Verifier,
        upstream: tuned::Upstream,
        database: tuned::Database,
    },
}

impl AppState {
    /// Creates the state of `worker` with that worker's share of the connections. Connects to
    /// nothing yet.
    ///
    /// # Errors
    /// A client that cannot be built.
    pub fn new(config: &Config, worker: Worker) -> Result<Self, BoxError> {
        let secret = &config.jwt_secret;
        let calls = worker.share(config.upstream.pool_size);
        let connections = worker.share(config.database.pool_size);
        Ok(Self(match config.profile {
            TargetProfile::Idiomatic => Services::Idiomatic {
                verifier: Verifier::new(secret),
                upstream: Upstream::new(&config.upstream, calls)?,
                database: Database::new(&config.database, connections),
            },
            TargetProfile::Tuned => Services::Tuned {
                verifier: tuned::Verifier::new(secret),
                upstream: tuned::Upstream::new(&config.upstream, calls)?,
                database: tuned::Database::new(&config.database, connections),
            },
        }))
    }

    /// Returns the claims of a token that is signed with the secret and valid now.
    pub(crate) fn verify(&self, token: &str) -> Option<Claims> {
        match &self.0 {
            Services::Idiomatic { verifier, .. } => verifier.verify(token),
            Services::Tuned { verifier, .. } => verifier.verify(token),
        }
    }

    /// Calls `{UPSTREAM_URL}/data` and returns the body. The deadline includes the wait for a permit.
    pub(crate) async fn fetch_product(&self) -> Result<Bytes, Error> {
        match &self.0 {
            Services::Idiomatic { upstream, .. } => upstream.fetch_product().await,
            Services::Tuned { upstream, .. } => upstream.fetch_product().await,
        }
    }

    /// Reads the row of a user.
    pub(crate) async fn find_user(&self, id: &str) -> Result<Option<Profile>, Error> {
        // Postgres cannot store NUL in a text, so no user has such an id.
        if id.contains('\0') {
            return Ok(None);
        }
        match &self.0 {
            // Boxed: the future of sqlx's pool is large, and the other profile would carry it.
            Services::Idiomatic { database, .. } => Box::pin(database.find_user(id)).await,
            Services::Tuned { database, .. } => database.find_user(id).await,
        }
    }
}
