//! What every handler of one worker shares.

use serve::Worker;
use tower::BoxError;

use crate::Config;
use crate::auth::Verifier;
use crate::clients::{Catalog, Users};

/// One worker's state, built once.
pub struct AppState {
    pub(crate) verifier: Verifier,
    pub(crate) catalog: Catalog,
    pub(crate) users: Users,
}

impl AppState {
    /// The state of `worker`, whose clients get that worker's share of the connections. Connects
    /// to nothing yet.
    ///
    /// # Errors
    /// A client that cannot be built.
    pub fn new(config: &Config, worker: Worker) -> Result<Self, BoxError> {
        let Config {
            clients,
            jwt_secret,
            upstream,
            database,
            ..
        } = config;
        Ok(Self {
            verifier: Verifier::new(jwt_secret),
            catalog: Catalog::new(*clients, upstream, worker.share(upstream.pool_size))?,
            users: Users::new(*clients, database, worker.share(database.pool_size)),
        })
    }
}
