//! The least that a kernel allows, which is what every contender's row is a fraction of: one thread,
//! one epoll loop, answers made at start, and of a request nothing read but its path and its end.
//!
//! It is no contender and keeps no contract: it looks at no token and no body, its ids never change,
//! and its user is always the seed row's. What it does do on every request is what cannot be left
//! out: it reads the request and writes an answer, and `/catalog` and `/users/me` go to the upstream
//! and to Postgres on the contract's budget of connections.

mod answer;
mod config;
mod database;
mod far;
mod message;
mod pool;
mod server;
mod upstream;

pub use config::Config;
pub use server::Server;
