//! The real target on port 0, the real upstream, a private Postgres; asked over bare sockets, so
//! that nothing on the wire is hidden.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod auth;
mod catalog;
mod config;
mod database;
mod drain;
mod errors;
mod forged;
mod health;
mod hostile;
mod info;
mod movies;
mod properties;
mod suite;
mod users;
mod wire;
mod workers;

/// The clients that the targets of these tests have. The tests of `tests/tuned` are the same ones.
const CLIENTS: &str = "idiomatic";
