//! The suite's command-line tool; its commands are in `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    harness::cli::run()
}
