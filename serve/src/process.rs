//! The process around a server: arguments, log, exit codes.

use std::env;
use std::ffi::OsString;
use std::fmt::Display;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::process::ExitCode;

use schema::env::{EXIT_COULD_NOT_RUN, EnvError, Environment, HOST, PORT, WORKERS};
use tokio::select;
use tower::BoxError;

use crate::signal::stop_signal;
use crate::{HttpService, Server, Worker, bind, log, probe};

/// Fewer connections are worth a warning: the limit of open files is then below 1,024, a common default.
const CONNECTIONS_FEW: usize = 512;

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
                log::write_line(&format!("{name}: {error}"));
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
    log::write_line(&format!("{name}: {reason}"));
    ExitCode::from(EXIT_COULD_NOT_RUN)
}

fn serve<S: HttpService>(
    name: &'static str,
    listen: Listen,
    make_service: impl Fn(Worker) -> Result<S, BoxError> + Clone + Send + 'static,
) -> Result<(), BoxError> {
    log::init();
    let listener = bind(listen.host, listen.port)?;
    let address = listener.local_addr()?;
    let server = Server::new(listen.workers);
    let stop = async {
        // Handlers first: a supervisor may send a signal as soon as it reads the log line.
        let stop_signal = stop_signal().expect("SIGTERM and SIGINT can be handled");
        tracing::info!(%address, workers = listen.workers, "{name} is listening");
        if server.connections_max < CONNECTIONS_FEW {
            let connections = server.connections_max;
            tracing::warn!(
                connections,
                "the limit of open files is low: raise it (ulimit -Hn) to serve more connections"
            );
        }
        select! {
            () = stop_signal => {}
            () = log::report_repetitions() => {}
        }
    };
    server.run(listener, make_service, stop)?;
    tracing::info!("{name} has stopped");
    log::finish();
    Ok(())
}
