//! PostgreSQL for a native start and for tests: the server's executables, a private cluster, the
//! seed row.
//!
//! The server listens on 127.0.0.1 and on a socket inside its data folder, and runs without
//! durability (`fsync`, `synchronous_commit` and `full_page_writes` are off): its only content is the
//! seed row.

mod binaries;
mod cluster;
mod folder;
mod seed;
mod temporary;

pub use binaries::{Server, server};
pub use cluster::{Cluster, FAST_SHUTDOWN};
pub use folder::{base, remove_stand_in};
pub use seed::seed;
pub use temporary::TemporaryPostgres;
