//! The limits of the contract. A limit that only one crate needs is in that crate.

use std::time::Duration;

/// Longest request body in bytes; a longer one is `ErrorCode::BodyTooLarge`.
pub const REQUEST_BODY_MAX_BYTES: usize = 64 * 1024;

/// Deepest nesting of arrays and objects in a request body or an upstream's answer.
pub const JSON_DEPTH_MAX: usize = 128;

/// Time for a request body to arrive; a slower one is `ErrorCode::RequestTimeout`.
pub const REQUEST_BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest answer of the upstream in bytes.
pub const UPSTREAM_BODY_MAX_BYTES: usize = 1024 * 1024;

/// Time to connect to the upstream.
pub const UPSTREAM_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Time for a whole call of the upstream, including the wait for a free connection.
pub const UPSTREAM_CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Time to wait for a database connection.
pub const DB_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Time for a statement.
pub const DB_STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);

/// `Retry-After` of a 503, in seconds.
pub const RETRY_AFTER_SECS: u32 = 1;

/// `max_connections` of the suite's Postgres.
pub const POSTGRES_MAX_CONNECTIONS: u32 = 200;

/// Oldest PostgreSQL server that the suite runs on.
pub const POSTGRES_MIN_MAJOR: u32 = 14;

/// Memory limit of a service in its manifests, in MiB: room for [`CONNECTIONS_MAX`] heads of the longest size.
pub const SERVICE_MEMORY_MIB: u64 = 512;

/// Most connections that a service serves at once.
pub const CONNECTIONS_MAX: u64 = 16_384;
