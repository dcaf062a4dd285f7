//! The real target on port 0 in both profiles, the real upstream, a private Postgres. Requests are
//! written to sockets as bytes, so that a test sees the wire.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod body;
mod catalog;
mod config;
mod conformance;
mod differential;
mod drain;
mod framing;
mod head;
mod pools;
mod ready;
mod scripted;
mod session;
mod suite;
mod tokens;
mod users;
