//! The libraries as they come: reqwest, and sqlx's pool.

mod catalog;
mod users;

pub(crate) use catalog::Catalog;
pub(crate) use users::Users;
