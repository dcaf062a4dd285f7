//! The HTTP server of both services: the first worker accepts connections and dispatches them round-robin to
//! all workers. Each worker has a thread, a single-threaded runtime and a service of its own.
//!
//! The listener, the service and the stop signal are passed in, so a test binds port 0 and stops the server as
//! SIGTERM would.

mod background;
mod bearer;
mod bind;
mod body;
mod connection;
mod head;
mod log;
mod memory;
mod probe;
mod process;
mod server;
mod service;
mod signal;
mod state;
mod worker;

pub use background::Background;
pub use bearer::bearer;
pub use bind::{bind, connections_max};
pub use body::RequestBody;
pub use probe::probe;
pub use process::{Listen, could_not_run, main};
pub use server::{ServeError, Server};
pub use service::HttpService;
pub use worker::Worker;
