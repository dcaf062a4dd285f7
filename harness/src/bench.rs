//! Measurement: how much of a processor does a request cost, how many are answered in a second, how
//! long does one take, and who was at the limit?

pub mod engine;
pub mod input;
pub(crate) mod log;
mod party;
pub(crate) mod platform;
pub mod record;
pub(crate) mod run;
#[cfg(test)]
mod sample;
pub mod scenario;
pub(crate) mod schedule;
pub mod statistics;
pub mod verdict;
pub mod watch;
