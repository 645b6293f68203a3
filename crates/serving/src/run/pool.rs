//! Threads that run models, apart from the threads that answer requests.

use crossbeam_channel::{Receiver, Sender, unbounded};
use parking_lot::Mutex;
use std::sync::Arc;

type Job = Box<dyn FnOnce() + Send>;

/// Named threads over one queue of jobs. The queue is short: a deployment submits no more jobs than
/// it has idle instances. The threads end when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Pool {
    jobs: Sender<Job>,
    shared: Arc<Shared>,
}

struct Shared {
    source: Receiver<Job>,
    threads: Mutex<usize>,
}

impl Pool {
    pub fn new() -> Self {
        let (jobs, source) = unbounded::<Job>();
        Self { jobs, shared: Arc::new(Shared { source, threads: Mutex::new(0) }) }
    }

    /// Makes sure that `wanted` jobs can run at once. Threads are never taken away: an idle one costs
    /// a stack that was never touched.
    pub fn grow_to(&self, wanted: usize) {
        let mut threads = self.shared.threads.lock();
        while *threads < wanted {
            let source = self.shared.source.clone();
            let name = format!("infer-{threads}");
            let thread = std::thread::Builder::new().name(name).spawn(move || {
                while let Ok(job) = source.recv() {
                    job();
                }
            });
            match thread {
                Ok(_) => *threads += 1,
                Err(error) => {
                    tracing::error!(%error, threads = *threads, wanted, "cannot start another inference thread");
                    return;
                }
            }
        }
    }

    /// Runs `job` on one of the threads, first come, first served.
    pub fn submit(&self, job: impl FnOnce() + Send + 'static) {
        // The receiver lives in `self`, so sending cannot fail.
        let _ = self.jobs.send(Box::new(job));
    }
}
