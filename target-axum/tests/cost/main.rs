//! The cost of a request, counted so that it has no noise of the machine, and compared with
//! `expected.toml`. `UPDATE_COST=1` writes that file.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod allocations;
mod exchange;
mod expected;
mod instructions;
