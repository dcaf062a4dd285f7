//! The `harness` binary: real processes and a real Postgres, with contenders that are made for a test.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod bench;
mod chaos;
mod check;
mod failures;
mod kit;
mod sandbox;
mod server;
mod stand_in;
mod unusual;
mod up;
