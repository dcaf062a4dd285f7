//! The command-line tool as its user meets it: real processes, a real Postgres, small stand-ins
//! for the two services.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod bench;
mod chaos;
mod check;
mod contract;
mod crash;
mod field;
mod hollow;
mod kit;
mod lifecycle;
mod refusal;
mod stand_in;
mod suite;
mod survival;
mod token;
mod trouble;
