//! The deviations of `PROFILE=tuned`: each file says what it replaces and what that buys.
//! `docs/PERFORMANCE.md` has the measurements. The promises are those of the idiomatic profile.

mod auth;
mod database;
mod pool;
mod service;
mod upstream;

pub use auth::Verifier;
pub(crate) use database::Database;
pub(crate) use service::service;
pub(crate) use upstream::Upstream;
