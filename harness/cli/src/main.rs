//! The suite's command-line tool; its commands are in `cli`.

mod cli;
mod down;
mod guide;
mod kit;
mod service;
mod up;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
