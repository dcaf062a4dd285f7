//! What a request costs, counted so that no noise of the machine is in it, and held against the
//! table of `docs/PERFORMANCE.md`. `UPDATE_COST=1` writes the table anew.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod allocations;
mod exchange;
mod instructions;
mod table;
