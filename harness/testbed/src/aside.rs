//! A runtime in a thread of its own: what goes on while the harness waits for something else.

use std::io;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

/// The runtime; dropping it ends all that was started on it.
#[derive(Debug)]
pub struct Aside {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Tasks that end when this is dropped.
#[derive(Debug, Default)]
pub struct Tasks(Vec<AbortHandle>);

impl Aside {
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
                    // A dropped handle stops it as much as one that says so.
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

    /// Where listeners and tasks of this runtime are made.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            eprintln!("the thread of a runtime is gone");
        }
    }
}

impl Tasks {
    /// One more.
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
