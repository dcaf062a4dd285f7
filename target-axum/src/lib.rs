//! The reference contender: the contract's endpoints on axum, reqwest and sqlx.
//!
//! The path of a request: `serve` accepts it, [`router`] picks a handler in `routes`, the extractors
//! in `auth` and `body` refuse it or read it, the handler calls `upstream` or `database`, and `error`
//! turns every failure into a response. `tuned` holds the deviations of the second profile.

mod auth;
mod body;
mod config;
mod connect;
mod database;
mod error;
mod routes;
mod state;
mod tuned;
mod upstream;

pub use auth::Verifier;
pub use config::{Config, TargetProfile};
pub use routes::{router, service};
pub use state::AppState;
pub use tuned::Verifier as TunedVerifier;
