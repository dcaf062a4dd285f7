//! The libraries' connections without their pools: hyper's for HTTP, sqlx's for Postgres. What a
//! pool does is in `pool`, what differs for a protocol is with its client.

mod catalog;
mod pool;
mod users;

pub(crate) use catalog::Catalog;
pub(crate) use users::Users;
