//! Load engines: they make a load and measure it.

pub mod builtin;
pub mod k6;

use std::time::Duration;

use anyhow::Result;

use crate::input::Requests;
use crate::record::{LoadModel, Measured};
use crate::sampler::Sampler;
use testbed::interrupt::Interrupt;

/// The description of a load.
#[derive(Clone, Copy, Debug)]
pub struct Load<'a> {
    pub requests: Requests<'a>,
    /// Connections, all open before the load begins.
    pub connections: usize,
    /// Threads of the engine.
    pub threads: usize,
    pub load_model: LoadModel,
    /// Load before the measured time.
    pub warmup: Duration,
    /// The measured time.
    pub duration: Duration,
}

/// A load generator that measures.
pub trait Engine {
    /// Returns its name, as `--engine` takes it.
    fn name(&self) -> &'static str;

    /// Returns its version.
    ///
    /// # Errors
    /// It is not installed; the error says how to install it.
    fn version(&self) -> Result<String>;

    /// Makes the load. It tells `sampler` when the measured time begins and ends, and lets it sample
    /// in between.
    ///
    /// # Errors
    /// The load could not be made, or the process is interrupted. Wrong and missing responses are
    /// part of the measurement and no error.
    fn run(&self, load: &Load<'_>, sampler: &mut Sampler<'_>) -> Result<Measured>;
}

/// Makes a load with an engine, without samples.
///
/// # Errors
/// Those of [`Engine::run`].
pub fn measure(engine: &dyn Engine, load: &Load<'_>) -> Result<Measured> {
    let never = Interrupt::never();
    engine.run(load, &mut Sampler::disabled(&never))
}
