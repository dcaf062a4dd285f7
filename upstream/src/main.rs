//! `upstream` serves until SIGTERM. `upstream probe` exits with 0 if the running service is healthy.

use std::env;
use std::process::ExitCode;

use schema::routes;
use upstream::Config;

fn main() -> ExitCode {
    match Config::read(|name| env::var_os(name)) {
        Ok(config) => serve::main("upstream", config.listen, routes::HEALTH, move |_| {
            Ok(upstream::service(&config))
        }),
        Err(error) => serve::could_not_run("upstream", &error),
    }
}
