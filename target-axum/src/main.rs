//! `target-axum`: serves until SIGTERM. `target-axum probe`: exit code 0 if it is ready.

use std::env;
use std::process::ExitCode;

use target_axum::{AppState, Config};

fn main() -> ExitCode {
    match Config::read(|name| env::var_os(name)) {
        Ok(config) => serve::main(
            "target-axum",
            config.listen,
            schema::routes::READY,
            move |worker| AppState::new(&config, worker).map(target_axum::service),
        ),
        Err(error) => serve::could_not_run("target-axum", &error),
    }
}
