//! PostgreSQL for a native start: found or obtained, a private cluster, seeded.
//!
//! The server listens on 127.0.0.1 and on a socket inside its own data folder, never touches a
//! cluster of the machine, and runs without durability (`fsync`, `synchronous_commit` and
//! `full_page_writes` are off): what it holds is the seed row, which can be made anew at any time.

pub mod base;
pub mod cluster;
pub mod embedded;
pub mod find;
pub mod obtain;
mod packages;
pub mod seed;
mod temporary;
#[cfg(feature = "embedded-postgres")]
pub mod unpack;

pub use temporary::TemporaryPostgres;
