//! An engine for tests: it makes no load and measures what it was told.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result};
use rustix::thread::gettid;

use super::{Engine, Load};
use crate::record::Measured;
use crate::watch::{Generator, Watch};

/// Gives prepared results in turn.
#[derive(Debug)]
pub struct Scripted {
    results: Mutex<VecDeque<Measured>>,
    busy: usize,
}

impl Scripted {
    /// Of these results, which take no time.
    #[must_use]
    pub fn new(results: impl IntoIterator<Item = Measured>) -> Self {
        Self {
            results: Mutex::new(results.into_iter().collect()),
            busy: 0,
        }
    }

    /// With as many threads that do nothing but use processors for the measured time: an engine that
    /// cannot keep up.
    #[must_use]
    pub fn busy(self, threads: usize) -> Self {
        Self {
            busy: threads,
            ..self
        }
    }
}

impl Engine for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn version(&self) -> Result<String> {
        Ok(env!("CARGO_PKG_VERSION").to_owned())
    }

    fn run(&self, load: &Load<'_>, watch: &mut Watch<'_>) -> Result<Measured> {
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        let result = results
            .pop_front()
            .with_context(|| format!("no result is prepared for {}", load.scenario))?;
        let (tell, told) = mpsc::channel();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..self.busy {
                scope.spawn(|| {
                    // Who asks waits for all of them.
                    let _ = tell.send(gettid());
                    while !done.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                });
            }
            watch.begin(Generator::Threads(told.iter().take(self.busy).collect()));
            let watched = match self.busy {
                0 => Ok(()),
                _ => watch.until(Instant::now() + load.duration),
            };
            watch.end();
            done.store(true, Ordering::Relaxed);
            watched
        })?;
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use rustix::process::Pid;

    use super::*;
    use crate::bottleneck::bottleneck;
    use crate::engine::measure;
    use crate::party::Party;
    use crate::record::{Attempt, Bottleneck, Pace};
    use crate::sample::small;
    use crate::scenario::Scenario;
    use crate::watch::Scene;
    use testbed::interrupt::Interrupt;

    fn load(duration: Duration) -> Load<'static> {
        Load {
            target: ([127, 0, 0, 1], 1).into(),
            scenario: Scenario::Info,
            inputs: &[],
            connections: 1,
            threads: 1,
            pace: Pace::Closed,
            warmup: Duration::ZERO,
            duration,
        }
    }

    #[test]
    fn results_come_in_turn_and_then_no_more() {
        let result = |requests| Measured {
            requests,
            ..Measured::default()
        };
        let engine = Scripted::new([result(1), result(2)]);
        let load = load(Duration::from_secs(3600));
        let next = || measure(&engine, &load);
        assert_eq!(next().unwrap(), result(1));
        assert_eq!(next().unwrap(), result(2));
        assert_eq!(
            next().unwrap_err().to_string(),
            "no result is prepared for info"
        );
    }

    #[test]
    fn an_engine_that_cannot_keep_up_is_what_was_measured() {
        let mut idle = Command::new("sleep");
        let mut idle = idle.arg("60").stdin(Stdio::null()).spawn().unwrap();
        let scene = Scene {
            contender: Party::of_process(Pid::from_child(&idle)),
            upstream: Party::of_threads(&[]),
            postgres: Party::of_threads(&[]),
            contender_cpus: vec![0],
            other_cpus: vec![1],
        };
        let plan = crate::record::Plan {
            contender_cpus: scene.contender_cpus.clone(),
            other_cpus: scene.other_cpus.clone(),
            ..small::plan(&["idle"])
        };
        let judged = |busy: usize| {
            let never = Interrupt::never();
            let mut watch = Watch::over(scene.clone(), &never);
            let load = load(Duration::from_millis(300));
            let measured = Measured {
                seconds: load.duration.as_secs_f64(),
                ..small::attempt("idle").measured
            };
            let engine = Scripted::new([measured]).busy(busy);
            let attempt = Attempt {
                measured: engine.run(&load, &mut watch).unwrap(),
                usage: watch.usage(),
                ..small::attempt("idle")
            };
            bottleneck(&attempt, &plan)
        };
        // More than there are processors, so that other tests cannot take its budget of one away.
        assert_eq!(judged(32), Bottleneck::GeneratorBound);
        assert_ne!(judged(0), Bottleneck::GeneratorBound);
        idle.kill().unwrap();
        idle.wait().unwrap();
    }
}
