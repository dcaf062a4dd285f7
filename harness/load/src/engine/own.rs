//! The suite's own engine: threads that wait on sockets, in closed and in open loop.
//!
//! Every answer is checked: status, content type, headers, and its length. The body is read if an
//! earlier right answer to the same input had another length, or none came yet, and of all others
//! on a sample. Neighbouring requests are different ones.

mod connection;
mod schedule;
mod tally;
mod worker;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use rustix::thread::gettid;

use self::connection::Connection;
use self::schedule::Schedule;
use self::tally::{Tally, Window};
use self::worker::Worker;
use super::{Engine, Load};
use crate::record::{Measured, Pace};
use crate::watch::{Generator, Watch};

/// The suite's own engine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Own;

impl Engine for Own {
    fn name(&self) -> &'static str {
        "own"
    }

    fn version(&self) -> Result<String> {
        Ok(env!("CARGO_PKG_VERSION").to_owned())
    }

    fn run(&self, load: &Load<'_>, watch: &mut Watch<'_>) -> Result<Measured> {
        let mut shares = connect(load)?.into_iter();
        let start = Instant::now();
        let begin = start + load.warmup;
        let end = begin + load.duration;
        let window = Window { begin, end };
        let threads = shares.len();
        let workers = shares.by_ref().enumerate().map(|(index, share)| {
            let schedule = match load.pace {
                Pace::Closed => None,
                Pace::Open(rate) => Some(Schedule::new(start, rate, threads, index, share.len())),
            };
            Worker::new(load, share, schedule, Tally::new(window))
        });
        let workers = workers.collect::<Result<Vec<_>>>()?;
        let mut tallies = make(workers, window, watch)?.into_iter();
        let mut whole = tallies.next().unwrap_or_else(|| Tally::new(window));
        for tally in tallies {
            whole.add(&tally);
        }
        Ok(whole.measured())
    }
}

/// Opens all connections, and deals them to the threads.
fn connect(load: &Load<'_>) -> Result<Vec<Vec<Connection>>> {
    ensure!(!load.inputs.is_empty(), "no inputs for {}", load.scenario);
    ensure!(load.connections > 0, "no connections to make load on");
    let threads = load.threads.clamp(1, load.connections);
    let mut shares: Vec<Vec<Connection>> = Vec::new();
    shares.resize_with(threads, Vec::new);
    for index in 0..load.connections {
        // Evenly over the inputs: no two connections send the same one at the same time.
        let input = index * load.inputs.len() / load.connections;
        shares[index % threads].push(Connection::open(load.target, input)?);
    }
    Ok(shares)
}

/// Runs the threads until the window is over, or the process is asked to end.
fn make(workers: Vec<Worker<'_>>, window: Window, watch: &mut Watch<'_>) -> Result<Vec<Tally>> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let stop = StopOnDrop(&stop);
        let (tell, told) = mpsc::channel();
        let threads = workers.into_iter().enumerate().map(|(index, worker)| {
            let (flag, tell) = (stop.0, tell.clone());
            let work = move || {
                // Fails only if nobody listens any more, who has told to stop then.
                let _ = tell.send(gettid());
                worker.run(flag)
            };
            let named = thread::Builder::new().name(format!("load-{index}"));
            named.spawn_scoped(scope, work)
        });
        let threads = threads.collect::<Result<Vec<_>, _>>();
        let threads = threads.context("starting the engine's threads")?;
        let ids = told.iter().take(threads.len()).collect();
        watch.until(window.begin)?;
        watch.begin(Generator::Threads(ids));
        watch.until(window.end)?;
        // What the threads have used is gone with them.
        watch.end();
        drop(stop);
        let tallies = threads.into_iter().map(|thread| {
            let ended = thread.join();
            ended.expect("a thread of the engine never panics")
        });
        tallies.collect()
    })
}

/// Tells the threads to stop, however the run ends.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::time::Duration;

    use super::*;
    use crate::input::inputs;
    use crate::scenario::Scenario;
    use testbed::interrupt::Interrupt;

    #[test]
    fn an_interrupted_run_stops_its_threads() {
        // Connections are taken by the system, and never answered.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let target = listener.local_addr().unwrap();
        for pace in [Pace::Closed, Pace::Open(100.0)] {
            let load = Load {
                target,
                scenario: Scenario::Info,
                inputs: &inputs(Scenario::Info, target, &[], "s"),
                connections: 2,
                threads: 2,
                pace,
                warmup: Duration::ZERO,
                duration: Duration::from_secs(3600),
            };
            let error = Own.run(&load, &mut Watch::nobody(&Interrupt::set()));
            assert_eq!(error.unwrap_err().to_string(), "interrupted");
        }
    }
}
