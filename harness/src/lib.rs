//! The suite's command-line tool as a library: what the tests of the other crates use too.

mod account;
mod aside;
pub mod bench;
pub(crate) mod chaos;
pub mod check;
pub mod child;
pub mod cli;
mod columns;
mod contender;
mod cpus;
mod daemon;
mod down;
mod guide;
mod interrupt;
mod kit;
mod lock;
mod output;
mod port;
pub mod postgres;
mod program;
pub mod raw;
mod service;
mod slow;
mod state;
pub mod token;
mod up;
mod watchdog;

pub use contender::contenders_of;
