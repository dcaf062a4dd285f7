//! The harness's own load generator: threads that wait on sockets by epoll, in closed and open loop.
//!
//! It has two users. [`Builtin`] measures: requests composed while they are sent, on a fixed
//! number of connections, every response judged. [`OpenLoop`] runs in the background until it is stopped
//! and sends whatever its [`Traffic`] generates. An implementation of [`Traffic`]
//!
//! 1. generates the next request in [`Traffic::next`], with any data of its own (a kind, the expected
//!    answer) as [`Traffic::Request`],
//! 2. returns its bytes from [`Traffic::bytes`],
//! 3. observes its end in [`Traffic::ended`]: the same request, the scheduled time, the latency, and
//!    the response or the [`Failure`], each exactly once.
//!
//! Requests in flight at a certain moment are those that `next` has returned and `ended` has not
//! taken back. Both are called on the load's thread: they must not block.

mod arrivals;
mod connection;
mod control;
mod judge;
mod latencies;
mod open_loop;
mod recorder;
mod traffic;
mod worker;

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::thread::gettid;

use self::arrivals::Arrivals;
use self::connection::Connection;
use self::control::Control;
use self::judge::Judge;
use self::recorder::{Recorder, Window};
use self::worker::{Connections, Worker};
use super::{Engine, Load};
use crate::record::{LoadModel, Measured};
use crate::sampler::{Generator, Sampler};

pub use self::latencies::Latencies;
pub use self::open_loop::OpenLoop;
pub use self::traffic::{Exchange, Failure, Response, Traffic};

/// Time for a response, and in an open loop of [`Builtin`] for a due request to find a free
/// connection. It exceeds every deadline of the contract: five seconds for a connection to the
/// database and five for its statement.
pub const DEADLINE: Duration = Duration::from_secs(12);

/// The engine of this crate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Builtin;

impl Engine for Builtin {
    fn name(&self) -> &'static str {
        "builtin"
    }

    fn version(&self) -> Result<String> {
        Ok(env!("CARGO_PKG_VERSION").to_owned())
    }

    fn run(&self, load: &Load<'_>, sampler: &mut Sampler<'_>) -> Result<Measured> {
        let shares = connect(load)?;
        let start = Instant::now();
        let begin = start + load.warmup;
        let end = begin + load.duration;
        let window = Window { begin, end };
        let threads = shares.len();
        let control = Control::new(load.requests.target.address());
        let workers = shares.into_iter().enumerate().map(|(index, share)| {
            let arrivals = match load.load_model {
                LoadModel::Closed | LoadModel::Invalid(_) => None,
                LoadModel::Open(rate) => Some(Arrivals::new(start, rate, threads, index)),
            };
            let judge = Judge::new(load.requests, Recorder::new(window));
            Worker::new(&control, Connections::Fixed, share, arrivals, judge)
        });
        let workers = workers.collect::<Result<Vec<_>>>()?;
        let mut total = Recorder::new(window);
        for judge in run(workers, &control, window, sampler)? {
            total.add(&judge.into_recorder());
        }
        Ok(total.measured())
    }
}

/// Opens all connections and divides them among the threads.
fn connect<R>(load: &Load<'_>) -> Result<Vec<Vec<Connection<R>>>> {
    ensure!(load.connections > 0, "no connections to make load on");
    let threads = load.threads.clamp(1, load.connections);
    let mut shares = Vec::new();
    shares.resize_with(threads, Vec::new);
    for index in 0..load.connections {
        shares[index % threads].push(Connection::open(load.requests.target.address())?);
    }
    Ok(shares)
}

/// Runs a thread for each worker until the window is over or the process is interrupted.
fn run<'a>(
    workers: Vec<Worker<'_, Judge<'a>>>,
    control: &Control,
    window: Window,
    sampler: &mut Sampler<'_>,
) -> Result<Vec<Judge<'a>>> {
    thread::scope(|scope| {
        let stop = StopOnDrop(control);
        let (sender, receiver) = mpsc::channel();
        let threads = workers.into_iter().enumerate().map(|(index, worker)| {
            let sender = sender.clone();
            let work = move || {
                // Fails only if this function has returned, which stops the worker.
                let _ = sender.send(gettid());
                worker.run()
            };
            let named = thread::Builder::new().name(format!("load-{index}"));
            named.spawn_scoped(scope, work)
        });
        let threads = threads.collect::<Result<Vec<_>, _>>();
        let threads = threads.context("starting the engine's threads")?;
        let ids = receiver.iter().take(threads.len()).collect();
        sampler.until(window.begin)?;
        sampler.begin(Generator::Threads(ids));
        sampler.until(window.end)?;
        // The resource usage of a thread ends with it.
        sampler.end();
        drop(stop);
        let judges = threads.into_iter().map(|thread| {
            let ended = thread.join();
            ended.expect("a thread of the engine never panics")
        });
        judges.collect()
    })
}

/// Stops the threads however the run ends.
struct StopOnDrop<'a>(&'a Control);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;
    use crate::input::{Requests, Variety};
    use crate::scenario::Scenario;
    use conformance::Target;
    use testbed::interrupt::Interrupt;

    #[test]
    fn interrupted_run_stops_its_threads() {
        // The system accepts connections; nothing answers them.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let target = Target::local(listener.local_addr().unwrap());
        for load_model in [LoadModel::Closed, LoadModel::Open(100.0)] {
            let load = Load {
                requests: Requests {
                    scenario: Scenario::Info,
                    target: &target,
                    users: &[],
                    secret: "secret",
                    variety: Variety::Unique,
                },
                connections: 2,
                threads: 2,
                load_model,
                warmup: Duration::ZERO,
                duration: Duration::from_secs(3600),
            };
            let error = Builtin.run(&load, &mut Sampler::disabled(&Interrupt::set()));
            assert_eq!(error.unwrap_err().to_string(), "interrupted");
        }
    }
}
