//! The accept loop both services share: one thread accepts connections and deals them round-robin to
//! the workers, of which it is the first. Each worker has a thread, a single-threaded runtime and a
//! service of its own.
//!
//! The listener, the service and the stop signal are passed in, so a test binds port 0 and stops
//! the server as SIGTERM would.

mod background;
mod bearer;
mod bind;
mod connection;
mod guard;
mod head;
mod probe;
mod process;
mod pulse;
mod server;
mod service;
mod signal;
mod worker;

pub use background::Background;
pub use bearer::bearer;
pub use bind::{BindError, bind, connections_max};
pub use probe::{ProbeError, probe};
pub use process::{Listen, could_not_run, main};
pub use server::{ServeError, Server};
pub use service::HttpService;
pub use signal::stop_signal;
pub use worker::Worker;
