//! The stop signals of an operator.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use tokio::select;
use tokio::signal::unix::{SignalKind, signal};

/// Handles SIGTERM and SIGINT from this call on, and returns a future that is ready at the first of them. The
/// second one ends the process at once, without the drain, with the shell's exit code for that signal.
///
/// # Errors
/// The system refuses a signal handler.
///
/// # Panics
/// Outside a tokio runtime.
pub(crate) fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let stopping = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        // In this order: the first signal must not find the flag that it sets.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stopping))?;
        flag::register(signal, Arc::clone(&stopping))?;
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: finishing the requests in flight");
    })
}
