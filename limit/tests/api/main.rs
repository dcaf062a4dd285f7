//! The executable, the real upstream, a private Postgres; asked over bare sockets.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod connections;
mod process;
mod suite;
