//! A runtime in a thread of its own, for tasks that run while the harness waits for something else.

use std::io;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

/// The runtime; dropping it ends all its tasks.
#[derive(Debug)]
pub struct Background {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Tasks that are aborted when this is dropped.
#[derive(Debug, Default)]
pub struct Tasks(Vec<AbortHandle>);

impl Background {
    /// Starts it in a thread of this name.
    ///
    /// # Errors
    /// The system refuses a runtime or a thread.
    pub fn start(name: &str) -> Result<Self> {
        let start = || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let handle = runtime.handle().clone();
            let (stop, stopped) = oneshot::channel();
            let thread = thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || {
                    // The receiver resolves with an error once the sender is dropped.
                    let _ = runtime.block_on(stopped);
                    runtime.shutdown_background();
                })?;
            Ok::<_, io::Error>(Self {
                handle,
                stop: Some(stop),
                thread: Some(thread),
            })
        };
        start().with_context(|| format!("starting the runtime {name}"))
    }

    /// Starts a task.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        self.handle.spawn(task).abort_handle()
    }

    /// Returns the handle that creates listeners and tasks of this runtime.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            eprintln!("the thread of a runtime panicked");
        }
    }
}

impl Tasks {
    /// Adds a task.
    pub fn add(&mut self, task: AbortHandle) {
        self.0.push(task);
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}
