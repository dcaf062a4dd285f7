//! The tests of `tests/api` that reach a client, with the tuned clients; and what these promise
//! beyond the idiomatic ones.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../api/catalog.rs"]
mod catalog;
mod catalog_connections;
#[path = "../api/database.rs"]
mod database;
#[path = "../api/drain.rs"]
mod drain;
#[path = "../api/health.rs"]
mod health;
mod scripted;
#[path = "../api/suite.rs"]
mod suite;
#[path = "../api/users.rs"]
mod users;
mod users_connections;
#[path = "../api/workers.rs"]
mod workers;

/// As in `tests/api/main.rs`.
const CLIENTS: &str = "tuned";
