//! The builtin engine against small servers with one behaviour each.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod errors;
mod load_model;
mod open_loop;
mod server;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use conformance::Target;
use load::engine::Load;
use load::engine::builtin::Builtin;
use load::input::{Requests, Variety};
use load::record::{LoadModel, Measured};
use load::scenario::Scenario;
use schema::Profile;

/// Measures `GET /info` of a server.
fn info(target: SocketAddr, load_model: LoadModel, duration: Duration) -> Measured {
    measure(Scenario::Info, target, &[], load_model, duration)
}

fn measure(
    scenario: Scenario,
    target: SocketAddr,
    users: &[Profile],
    load_model: LoadModel,
    duration: Duration,
) -> Measured {
    try_measure(scenario, target, users, load_model, duration).unwrap()
}

/// Measures with four connections on two threads.
fn try_measure(
    scenario: Scenario,
    target: SocketAddr,
    users: &[Profile],
    load_model: LoadModel,
    duration: Duration,
) -> Result<Measured> {
    let load = Load {
        requests: Requests {
            scenario,
            target: &Target::local(target),
            users,
            secret: "secret",
            variety: match load_model {
                LoadModel::Invalid(share) => Variety::Invalid(share),
                LoadModel::Closed | LoadModel::Open(_) => Variety::Unique,
            },
        },
        connections: 4,
        threads: 2,
        load_model,
        warmup: Duration::ZERO,
        duration,
    };
    load::engine::measure(&Builtin, &load)
}
