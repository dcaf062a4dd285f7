//! The service behind the proxy scenario: one product behind an API key, and on demand every way
//! an upstream can fail. So little happens per request that it never limits a contender.

mod answer;
mod config;
mod fault;
mod service;

pub use config::Config;
pub use service::{Reset, service};
