//! The process around a server: arguments, log, exit codes. The same for every service.

use std::env;
use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::process::ExitCode;

use schema::env::{EXIT_COULD_NOT_RUN, EnvError, Environment, HOST, PORT, WORKERS};
use tower::BoxError;

use crate::{HttpService, Server, Worker, bind, probe, stop_signal};

/// Where a service listens, and with how many workers.
#[derive(Clone, Copy, Debug)]
pub struct Listen {
    /// Address to listen on.
    pub host: IpAddr,
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// Worker threads.
    pub workers: NonZeroUsize,
}

impl Listen {
    /// Reads `HOST`, `PORT` and `WORKERS`.
    ///
    /// # Errors
    /// The first variable that is empty or not of its form.
    pub fn read<F>(environment: &Environment<F>) -> Result<Self, EnvError>
    where
        F: Fn(&str) -> Option<std::ffi::OsString>,
    {
        Ok(Self {
            host: environment.parse(&HOST, |host| host.parse().ok())?,
            port: environment.parse(&PORT, |port| port.parse().ok())?,
            workers: environment.count(&WORKERS)?,
        })
    }
}

/// A service's `main` once its configuration is read: serves until SIGTERM or SIGINT, or with the
/// argument `probe` asks the running service for `probe_path` instead.
///
/// Exit codes: 0 stopped as told or healthy, 1 not healthy, 2 could not run.
pub fn main<S: HttpService>(
    name: &'static str,
    listen: Listen,
    probe_path: &str,
    make_service: impl Fn(Worker) -> Result<S, BoxError> + Clone + Send + 'static,
) -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [] => match serve(name, listen, make_service) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => could_not_run(name, &error),
        },
        [argument] if argument == "probe" => match probe(listen.host, listen.port, probe_path) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{name}: {error}");
                ExitCode::FAILURE
            }
        },
        _ => could_not_run(
            name,
            &"the only argument is `probe`; everything else is read from the environment",
        ),
    }
}

/// Says in one line why `name` cannot run.
pub fn could_not_run(name: &str, reason: &dyn Display) -> ExitCode {
    eprintln!("{name}: {reason}");
    ExitCode::from(EXIT_COULD_NOT_RUN)
}

fn serve<S: HttpService>(
    name: &'static str,
    listen: Listen,
    make_service: impl Fn(Worker) -> Result<S, BoxError> + Clone + Send + 'static,
) -> Result<(), BoxError> {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        // Who reads the log may go away; the service must not go with it.
        .log_internal_errors(false)
        .init();
    let listener = bind(listen.host, listen.port)?;
    let address = listener.local_addr()?;
    // Whoever reads that it listens may send a signal: the handlers are there before that.
    let stop = async {
        let stop_signal = stop_signal();
        tracing::info!(%address, workers = listen.workers, "{name} is listening");
        stop_signal.await;
    };
    Server::new(listen.workers).run(listener, make_service, stop)?;
    tracing::info!("{name} has stopped");
    Ok(())
}
