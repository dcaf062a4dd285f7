//! The stop signals of an operator.

use std::io;
use std::process;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Ready at the first SIGTERM or SIGINT. The second one ends the process at once with the shell's
/// code for that signal: whoever asks twice does not want to wait for the drain.
///
/// The signals are caught from this call on.
///
/// # Panics
/// Outside a tokio runtime, or when the system refuses a signal handler.
pub fn stop_signal() -> impl Future<Output = ()> {
    let mut signals = Signals::new().expect("SIGTERM and SIGINT can be handled");
    async move {
        signals.next().await;
        tracing::info!("stopping: finishing the requests in flight");
        tokio::spawn(async move {
            let code = 128 + signals.next().await.as_raw_value();
            process::exit(code);
        });
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> SignalKind {
        tokio::select! {
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.interrupt.recv() => SignalKind::interrupt(),
        }
    }
}
