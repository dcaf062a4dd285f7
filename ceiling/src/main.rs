//! `ceiling` serves until SIGTERM or SIGINT.

use std::env;
use std::process::ExitCode;

use ceiling::{Config, Server};

fn main() -> ExitCode {
    let config = match Config::read(|name| env::var_os(name)) {
        Ok(config) => config,
        Err(error) => return serve::could_not_run("ceiling", &error),
    };
    match Server::new(&config).and_then(Server::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => serve::could_not_run("ceiling", &error),
    }
}
