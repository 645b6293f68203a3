//! Tracked background tasks. Nothing outlives shutdown.

use std::future::Future;
use std::time::Duration;
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
            if cancel.run_until_cancelled_owned(task).await.is_none() {
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
        self.tracker.spawn(task)
    }

    /// Cancels every task and waits up to `grace` for them to end. Returns whether all ended.
    pub async fn shutdown(&self, grace: Duration) -> bool {
        self.cancel.cancel();
        self.tracker.close();
        tokio::time::timeout(grace, self.tracker.wait()).await.is_ok()
    }
}
