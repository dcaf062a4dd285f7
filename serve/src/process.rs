//! The process around a server: arguments, log, exit codes.

use std::env;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::process::ExitCode;

use schema::env::{EXIT_COULD_NOT_RUN, EnvError, Environment, HOST, PORT, WORKERS};
use tower::BoxError;

use crate::signal::stop_signal;
use crate::{HttpService, Server, Worker, bind, probe};

/// The address of a service, and its number of workers.
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
    /// The first variable that is empty or not in its form.
    pub fn read(
        environment: &Environment<impl Fn(&str) -> Option<OsString>>,
    ) -> Result<Self, EnvError> {
        Ok(Self {
            host: environment.parse(&HOST, |host| host.parse().ok())?,
            port: environment.parse(&PORT, |port| port.parse().ok())?,
            workers: environment.count(&WORKERS)?,
        })
    }
}

/// Runs a service after its configuration was read: serves until SIGTERM or SIGINT, or, with the argument
/// `probe`, sends `GET probe_path` to the running service.
///
/// Exit codes: 0 stopped by a signal or healthy, 1 not healthy, 2 could not run.
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

/// Prints one line with the reason that `name` cannot run, and returns exit code 2.
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
        // The service must survive the reader of its log.
        .log_internal_errors(false)
        .init();
    let listener = bind(listen.host, listen.port)?;
    let address = listener.local_addr()?;
    let stop = async {
        // Handlers first: a supervisor may send a signal as soon as it reads the log line.
        let stop_signal = stop_signal().expect("SIGTERM and SIGINT can be handled");
        tracing::info!(%address, workers = listen.workers, "{name} is listening");
        stop_signal.await;
    };
    Server::new(listen.workers).run(listener, make_service, stop)?;
    tracing::info!("{name} has stopped");
    Ok(())
}
