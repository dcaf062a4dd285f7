//! `harness status`: which services run.

use anyhow::Result;
use testbed::state::State;
use testbed::table;
use testbed::terminal::{postgres_url, print, url};

use super::service::recorded_port;

/// The services of `up`, in the order in which `down` stops them.
pub(super) const SERVICES: [&str; 3] = ["target", "upstream", "postgres"];

/// Runs the command; false if a service does not run.
pub(super) fn status() -> Result<bool> {
    let state = State::find()?;
    let mut rows = Vec::new();
    for name in SERVICES {
        let pid = state.daemon(name).running()?;
        let url = pid.and(recorded_port(&state, name)).map(|port| match name {
            "postgres" => postgres_url(port),
            _ => url(port),
        });
        rows.push([
            name.to_owned(),
            pid.map_or("stopped", |_| "running").to_owned(),
            pid.map_or_else(String::new, |pid| pid.to_string()),
            url.unwrap_or_default(),
        ]);
    }
    let all_run = rows.iter().all(|row| row[1] == "running");
    print(table::texts(["SERVICE", "STATE", "PROCESS", "URL"], rows));
    Ok(all_run)
}

/// Returns the port of the Postgres that `up` started, if it runs.
pub(super) fn postgres_port() -> Option<u16> {
    let state = State::find().ok()?;
    let pid = state.daemon("postgres").running().ok()?;
    pid.and(recorded_port(&state, "postgres"))
}
