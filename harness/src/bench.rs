//! Measurement: how much of a processor does a request cost, how many are answered in a second, how
//! long does one take, and who was at the limit?

pub mod engine;
pub mod input;
pub mod log;
mod party;
mod platform;
pub mod record;
pub mod scenario;
pub mod verdict;
pub mod watch;
