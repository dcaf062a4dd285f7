//! The state that the handlers of one worker share. `PROFILE` is looked at here and in
//! `routes::service`: handlers see no difference.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use schema::{Claims, ErrorCode, Profile};
use serve::Worker;
use tower::BoxError;

use crate::auth::Verifier;
use crate::config::{Config, TargetProfile};
use crate::database::Database;
use crate::error::Error;
use crate::tuned;
use crate::upstream::Upstream;

/// One worker's state, built once.
#[derive(Clone)]
pub struct AppState(Arc<Services>);

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
        let services = match config.profile {
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
        };
        Ok(Self(Arc::new(services)))
    }

    /// Returns whether the profile is the tuned one.
    pub(crate) fn is_tuned(&self) -> bool {
        matches!(*self.0, Services::Tuned { .. })
    }

    /// Returns the claims of the bearer token, which must be signed with the secret and valid now.
    pub(crate) fn authenticate(&self, headers: &HeaderMap) -> Result<Claims, Error> {
        let claims = serve::bearer(headers).and_then(|token| match &*self.0 {
            Services::Idiomatic { verifier, .. } => verifier.verify(token),
            Services::Tuned { verifier, .. } => verifier.verify(token),
        });
        claims.ok_or_else(|| ErrorCode::InvalidToken.into())
    }

    /// Calls `{UPSTREAM_URL}/data` and returns the body. The deadline includes the wait for a permit.
    pub(crate) async fn fetch_product(&self) -> Result<Bytes, Error> {
        match &*self.0 {
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
        match &*self.0 {
            // Boxed: the future of sqlx's pool is large, and the other profile would carry it.
            Services::Idiomatic { database, .. } => Box::pin(database.find_user(id)).await,
            Services::Tuned { database, .. } => database.find_user(id).await,
        }
    }
}
