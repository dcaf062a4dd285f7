//! Runs the executable with the real upstream and a private Postgres, over bare sockets.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod connections;
mod process;
mod suite;
