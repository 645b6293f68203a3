//! Tracked background tasks. Nothing outlives shutdown.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Spawns tasks that shutdown can cancel and await. Clones share one tracker.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    cancel: CancellationToken,
}

impl Tasks {
    /// A tracker with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// The token that says "stop now". A loop selects on it.
    pub fn cancelled(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Runs `task` until it ends or shutdown cancels it at an await point.
    pub fn spawn<F>(&self, name: &'static str, task: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let cancel = self.cancel.clone();
        self.tracker.spawn(async move {
            if cancel.run_until_cancelled_owned(said(name, task)).await.is_none() {
                tracing::debug!(task = name, "task cancelled at shutdown");
            }
        })
    }

    /// Runs `task` to its own end: it must watch [`Tasks::cancelled`] itself. For work that has to
    /// finish cleanly, like the last flush of a log.
    pub fn spawn_graceful<F>(&self, task: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tracker.spawn(said(std::any::type_name::<F>(), task))
    }

    /// As [`Tasks::spawn_graceful`], on another runtime than the one it is called on.
    pub fn spawn_graceful_on<F>(&self, runtime: &Handle, task: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tracker.spawn_on(said(std::any::type_name::<F>(), task), runtime)
    }

    /// Cancels every task and waits up to `grace` for them to end. Returns whether all ended.
    pub async fn shutdown(&self, grace: Duration) -> bool {
        self.cancel.cancel();
        self.tracker.close();
        tokio::time::timeout(grace, self.tracker.wait()).await.is_ok()
    }
}

/// Runs `task`. Most tasks' ends are awaited by nobody, so a panic is said before it goes on to who does.
async fn said<F: Future<Output = ()>>(name: &'static str, task: F) {
    let mut task = pin!(task);
    let done = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(cx))) {
        Ok(polled) => polled.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    });
    if let Err(panic) = done.await {
        let why = panic_words(&*panic);
        tracing::error!(
            task = name,
            why,
            "a background task stopped at a bug: what it did is not done until a restart"
        );
        resume_unwind(panic);
    }
}

/// The words of a panic, where it has any.
pub fn panic_words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it does not say why")
}
