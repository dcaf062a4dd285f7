//! Measurement of contenders: CPU time per request, requests per second, latencies and the bottleneck.
//!
//! A run follows a plan ([`run`], [`schedule`]): an engine makes the load ([`engine`]) while the
//! resource usage of all process groups is sampled ([`sampler`]). Results are appended to
//! `results.jsonl` ([`record`]), and reports are rendered from that file alone ([`report`]).

pub mod bottleneck;
mod cell;
pub mod compare;
pub mod cpu_lock;
pub mod engine;
pub mod input;
pub mod k6_files;
pub mod machine;
pub mod process_group;
pub mod record;
pub mod report;
pub mod results;
pub mod run;
#[cfg(test)]
mod sample;
pub mod sampler;
pub mod scenario;
pub mod schedule;
mod score;
mod standings;
mod statistics;
