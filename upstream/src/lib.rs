//! The service behind the proxy scenario: one product behind an API key, and every fault of an upstream on
//! demand. It does so little per request that it never limits a contender.

mod answer;
mod config;
mod fault;
mod service;

pub use config::Config;
pub use service::{Reset, service};
