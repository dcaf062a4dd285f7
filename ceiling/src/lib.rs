//! The ceiling: the throughput that the kernel allows, to compare every contender with. One thread, one epoll
//! loop, answers made at start; of a request only the path and the end are read.
//!
//! It is no contender and breaks the contract: it ignores tokens and bodies, its ids never change, and its user
//! is always the seed row. It does the work that no contender can avoid: it reads every request, writes an
//! answer, and calls the upstream and Postgres within the contract's limits of connections.

mod answer;
mod backend;
mod config;
mod database;
mod event;
mod message;
mod pool;
mod server;
mod upstream;

pub use config::Config;
pub use server::Server;
