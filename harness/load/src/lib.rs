//! Measurement: how much of a processor does a request cost, how many are answered in a second, how
//! long does one take, and who was at the limit?

pub mod bottleneck;
mod cell;
pub mod claim;
pub mod compare;
pub mod engine;
pub mod input;
pub mod party;
pub mod platform;
pub mod record;
pub mod report;
pub mod results;
pub mod run;
#[cfg(test)]
mod sample;
pub mod scenario;
pub mod schedule;
mod score;
pub mod scripts;
pub mod standings;
pub mod statistics;
pub mod watch;
