//! `target-axum`: serves until SIGTERM. `target-axum probe`: exit code 0 if it is ready.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use target_axum::{AppState, Config};

/// Options of every session with Postgres. sqlx always reads this variable; the contract does not know it.
const PGOPTIONS: &str = "PGOPTIONS";

fn main() -> ExitCode {
    if env::var_os(PGOPTIONS).is_some() {
        return serve::could_not_run("target-axum", &start_without_pgoptions());
    }
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

/// Executes this program again without the variable; returns only if that fails. Removing a variable from
/// the environment of a running process is not safe in Rust.
fn start_without_pgoptions() -> std::io::Error {
    let program = match env::current_exe() {
        Ok(program) => program,
        Err(error) => return error,
    };
    Command::new(program)
        .args(env::args_os().skip(1))
        .env_remove(PGOPTIONS)
        .exec()
}
