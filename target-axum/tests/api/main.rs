//! The real target on port 0 in both profiles, the real upstream, a private Postgres. Requests are
//! written to sockets as bytes, so that a test sees the wire.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod body;
mod catalog;
mod catalog_connections;
mod config;
mod differential;
mod drain;
mod endpoints;
mod framing;
mod head;
mod movies;
mod pools;
mod scripted;
mod session;
mod suite;
mod tokens;
mod users;
mod users_connections;
