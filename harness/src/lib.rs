//! The suite's command-line tool as a library: what the tests of the other crates use too.

pub mod raw;
