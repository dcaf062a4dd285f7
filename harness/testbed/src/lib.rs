//! The foundation of every command of the harness: supervised processes, ports, CPUs, an embedded
//! Postgres, raw HTTP/1, text output, tokens, and the definitions of contenders.

pub mod account;
pub mod child;
pub mod contender;
pub mod cpus;
pub mod http1;
pub mod interrupt;
pub mod json;
pub mod level;
pub mod lock;
pub mod number;
pub mod output;
pub mod port;
pub mod postgres;
pub mod process;
pub mod raw;
pub mod secrets;
pub mod state;
pub mod table;
pub mod terminal;
pub mod token;
