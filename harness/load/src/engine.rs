//! Engines: what makes the load and takes the time.

pub mod builtin;
pub mod k6;
pub mod scripted;
mod tool;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;

use super::input::Input;
use super::record::{Measured, Pace};
use super::scenario::Scenario;
use super::watch::Watch;
use testbed::interrupt::Interrupt;

/// A load to make.
#[derive(Clone, Copy, Debug)]
pub struct Load<'a> {
    /// Where the contender listens.
    pub target: SocketAddr,
    /// What is asked.
    pub scenario: Scenario,
    /// What goes out, in turn and round again; all made before the run.
    pub inputs: &'a [Input],
    /// Connections, all open before the time is taken.
    pub connections: usize,
    /// Threads of the engine.
    pub threads: usize,
    /// How requests follow each other.
    pub pace: Pace,
    /// Time of load before the measured time.
    pub warmup: Duration,
    /// The measured time.
    pub duration: Duration,
}

/// Something that makes a load and measures it.
pub trait Engine {
    /// Its name, as `--engine` takes it.
    fn name(&self) -> &'static str;

    /// Its version.
    ///
    /// # Errors
    /// It is not installed; the error says how to get it.
    fn version(&self) -> Result<String>;

    /// Makes the load. It tells `watch` when the measured time begins and ends, and lets it look in
    /// between.
    ///
    /// # Errors
    /// The load could not be made, or the process was asked to end. Wrong and missing answers are
    /// no error but part of what was measured.
    fn run(&self, load: &Load<'_>, watch: &mut Watch<'_>) -> Result<Measured>;
}

/// Makes a load with an engine and nobody looking on.
///
/// # Errors
/// As [`Engine::run`].
pub fn measure(engine: &dyn Engine, load: &Load<'_>) -> Result<Measured> {
    let never = Interrupt::never();
    engine.run(load, &mut Watch::nobody(&never))
}
