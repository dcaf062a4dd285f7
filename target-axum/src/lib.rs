//! The reference contender: the contract's endpoints on axum, one service per worker.
//!
//! A request's way: `serve` accepts it, [`router`] picks a handler in `routes`, the extractors in
//! `auth` and `body` refuse what is wrong with it, the handler asks a client in `clients`, and
//! `error` words every failure.

mod auth;
mod body;
mod clients;
mod config;
mod error;
mod json;
mod routes;
mod state;

pub use auth::Verifier;
pub use config::{Clients, Config};
pub use routes::{router, service};
pub use state::AppState;
