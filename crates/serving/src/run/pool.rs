//! Threads that run models, apart from the threads that answer requests.

use crossbeam_channel::{Receiver, Sender, unbounded};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

type Job = Box<dyn FnOnce() + Send>;

/// Named threads over one queue of jobs. Every model that is loaded has [`Room`] for as many jobs as it has
/// instances, so a slow one, or one that runs only in a shadow, never keeps another waiting for a thread. The threads
/// end when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Pool {
    jobs: Sender<Job>,
    shared: Arc<Shared>,
}

struct Shared {
    source: Receiver<Job>,
    /// Jobs that may run at once.
    room: AtomicUsize,
    /// Jobs that run or wait for a thread.
    unfinished: AtomicUsize,
    threads: AtomicUsize,
    /// Held while threads are started.
    growing: Mutex<()>,
}

/// Jobs that a model may run at once, until dropped.
pub(crate) struct Room {
    shared: Arc<Shared>,
    jobs: usize,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.shared.room.fetch_sub(self.jobs, Ordering::Relaxed);
    }
}

impl Pool {
    pub fn new() -> Self {
        let (jobs, source) = unbounded::<Job>();
        let shared = Shared {
            source,
            room: AtomicUsize::new(0),
            unfinished: AtomicUsize::new(0),
            threads: AtomicUsize::new(0),
            growing: Mutex::new(()),
        };
        Self { jobs, shared: Arc::new(shared) }
    }

    /// Room for `jobs` more at once. Their threads are started when they are needed, and never taken away: an idle
    /// one costs a stack that was hardly touched.
    pub fn room(&self, jobs: usize) -> Room {
        self.shared.room.fetch_add(jobs, Ordering::Relaxed);
        Room { shared: Arc::clone(&self.shared), jobs }
    }

    fn grow(&self) {
        let shared = &self.shared;
        let _growing = shared.growing.lock();
        // The first thread is for a job whose model is on its way out.
        let most = shared.room.load(Ordering::Relaxed).max(1);
        while shared.threads.load(Ordering::Relaxed) < shared.unfinished.load(Ordering::Relaxed).min(most) {
            let threads = shared.threads.load(Ordering::Relaxed);
            let (source, counts) = (shared.source.clone(), Arc::downgrade(shared));
            let thread = std::thread::Builder::new().name(format!("infer-{threads}")).spawn(move || {
                while let Ok(job) = source.recv() {
                    job();
                    if let Some(counts) = counts.upgrade() {
                        counts.unfinished.fetch_sub(1, Ordering::Relaxed);
                    }
                }
            });
            if let Err(error) = thread {
                tracing::error!(%error, threads, most, "cannot start another inference thread");
                return;
            }
            shared.threads.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Runs `job` on one of the threads, first come, first served.
    pub fn submit(&self, job: impl FnOnce() + Send + 'static) {
        let unfinished = self.shared.unfinished.fetch_add(1, Ordering::Relaxed) + 1;
        if unfinished > self.shared.threads.load(Ordering::Relaxed) {
            self.grow();
        }
        // The receiver lives in `self`, so sending cannot fail.
        let _ = self.jobs.send(Box::new(job));
    }
}
