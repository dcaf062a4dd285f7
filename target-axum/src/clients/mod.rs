//! How a worker reaches the upstream and Postgres. Each profile of clients is a folder here that
//! offers the same two types; `idiomatic` is what the libraries' documentation recommends.

mod idiomatic;

pub(crate) use idiomatic::{Catalog, Users};
