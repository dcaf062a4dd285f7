//! The engine of our own against small servers that do one thing: what it counts, and as what.

mod errors;
mod pace;
mod server;

use std::net::SocketAddr;
use std::time::Duration;

use harness::bench::engine::Load;
use harness::bench::engine::own::Own;
use harness::bench::input::{Input, inputs};
use harness::bench::record::{Measured, Pace};
use harness::bench::scenario::Scenario;

/// `GET /info` of a server, for this time.
fn info(target: SocketAddr, pace: Pace, duration: Duration) -> Measured {
    let inputs = inputs(Scenario::Info, target, &[], "secret");
    measure(Scenario::Info, target, &inputs, pace, duration)
}

/// Four connections of two threads.
fn measure(
    scenario: Scenario,
    target: SocketAddr,
    inputs: &[Input],
    pace: Pace,
    duration: Duration,
) -> Measured {
    let load = Load {
        target,
        scenario,
        inputs,
        connections: 4,
        threads: 2,
        pace,
        warmup: Duration::ZERO,
        duration,
    };
    harness::bench::engine::measure(&Own, &load).unwrap()
}
