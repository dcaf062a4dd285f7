//! The paths of the target and of the upstream.

/// `GET`: typed JSON.
pub const INFO: &str = "/info";
/// `POST`: JWT and a JSON body.
pub const MOVIES: &str = "/movies";
/// `GET`: the proxy scenario.
pub const CATALOG: &str = "/catalog";
/// `GET`: alias of [`CATALOG`].
pub const PROXY: &str = "/proxy";
/// `GET`: JWT and a Postgres row.
pub const USERS_ME: &str = "/users/me";
/// `GET`, target and upstream: 200 while the process serves.
pub const HEALTH: &str = "/health";
/// `GET`: 200 when Postgres and the upstream answer.
pub const READY: &str = "/ready";

/// `GET`, upstream: the product, behind the API key.
pub const UPSTREAM_DATA: &str = "/data";
/// Prefix of the upstream's faults: `/faults/<fault>/data`.
pub const UPSTREAM_FAULTS: &str = "/faults/";

/// Header of `GET /info`: a fresh UUID v4 per response.
pub const RESPONSE_ID: &str = "x-response-id";
