//! The builtin engine against small servers with one behaviour each.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod errors;
mod load_model;
mod open_loop;
mod server;

use std::net::SocketAddr;
use std::time::Duration;

use load::engine::Load;
use load::engine::builtin::Builtin;
use load::input::{Input, inputs};
use load::record::{LoadModel, Measured};
use load::scenario::Scenario;

/// Measures `GET /info` of a server.
fn info(target: SocketAddr, load_model: LoadModel, duration: Duration) -> Measured {
    let inputs = inputs(Scenario::Info, target, &[], "secret");
    measure(Scenario::Info, target, &inputs, load_model, duration)
}

/// Measures with four connections on two threads.
fn measure(
    scenario: Scenario,
    target: SocketAddr,
    inputs: &[Input],
    load_model: LoadModel,
    duration: Duration,
) -> Measured {
    let load = Load {
        target,
        scenario,
        inputs,
        connections: 4,
        threads: 2,
        load_model,
        warmup: Duration::ZERO,
        duration,
    };
    load::engine::measure(&Builtin, &load).unwrap()
}
