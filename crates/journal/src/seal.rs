//! From log segments to Parquet in the artifact store.
//!
//! A segment is read, written as one Parquet file for each stream and day, and put into the store. It is
//! deleted once a snapshot of the tiles that has seen it is on disk too, so that a crash never costs the
//! tiles a row. The files are named after the segment, so sealing it again after a crash replaces them
//! with the same rows; until readers are shown the files, they take its rows from the log only.

use crate::error::JournalError;
use crate::journal::Shared;
use crate::log::segment::sync_dir;
use crate::snapshot::OpenSegment;
use crate::stats::spend;
use crate::tiles::{self, TileSnapshot};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

pub(crate) mod parquet;
pub(crate) mod store;

const FIRST_RETRY: Duration = Duration::from_millis(500);
const LAST_RETRY: Duration = Duration::from_secs(60);

/// A segment to seal; without one, a question whether everything before it is sealed.
pub(crate) struct SealJob {
    pub segment: Option<OpenSegment>,
    pub waiting: Vec<oneshot::Sender<Result<(), JournalError>>>,
}

/// Seals one segment after the other until the writer is gone. At shutdown a segment that cannot be
/// sealed stays in the log for the next start.
pub(crate) async fn run(shared: Arc<Shared>, mut jobs: mpsc::UnboundedReceiver<SealJob>) {
    let stop = shared.ctx.tasks.cancelled();
    let mut sealer = Sealer { shared, written: None };
    while let Some(job) = jobs.recv().await {
        let mut waiting = job.waiting;
        let mut retry = FIRST_RETRY;
        loop {
            let done = match &job.segment {
                Some(segment) => sealer.seal(segment).await,
                None => sealer.sweep().await,
            };
            match done {
                Ok(()) => {
                    waiting.drain(..).for_each(|done| drop(done.send(Ok(()))));
                    break;
                }
                Err(e) => {
                    tracing::error!(error = %e, "cannot seal a segment; it stays in the log");
                    sealer.shared.due.now();
                    sealer.shared.counters.failed(&sealer.shared.counters.seal_errors, e.to_string());
                    let why = e.to_string();
                    waiting.drain(..).for_each(|d| drop(d.send(Err(JournalError::NotSealed { why: why.clone() }))));
                }
            }
            if stop.run_until_cancelled(tokio::time::sleep(retry)).await.is_none() {
                break;
            }
            retry = (retry * 2).min(LAST_RETRY);
        }
    }
    if let Err(e) = sealer.sweep().await {
        tracing::warn!(error = %e, "sealed segments stay in the log; the next start seals them again");
    }
}

struct Sealer {
    shared: Arc<Shared>,
    /// The snapshot on disk.
    written: Option<Arc<TileSnapshot>>,
}

impl Sealer {
    async fn seal(&mut self, segment: &OpenSegment) -> Result<(), JournalError> {
        let begun = Instant::now();
        let (from, scratch) = (segment.clone(), self.shared.settings.dir.join("sealing"));
        let made = on_a_thread(move || parquet::convert(&from, &scratch)).await?;
        for file in &made {
            let bytes = store::put(&self.shared.artifacts, file).await?;
            self.shared.due.sealed(bytes, self.shared.settings.retention);
        }
        // From here on readers see the files.
        if let Some(s) = self.shared.segments.lock().iter_mut().find(|s| s.id == segment.id) {
            s.sealed = true;
        }
        self.shared.counters.segments_sealed.fetch_add(1, Relaxed);
        spend(&self.shared.counters.spent.seal, begun);
        if let Err(e) = self.sweep().await {
            // It is sealed all the same; the next sweep tries again.
            tracing::warn!(error = %e, "a sealed segment stays in the log");
            self.shared.counters.failed(&self.shared.counters.seal_errors, e.to_string());
        }
        Ok(())
    }

    /// Writes the latest snapshot of the tiles when that makes sealed segments superfluous, and deletes
    /// those.
    async fn sweep(&mut self) -> Result<(), JournalError> {
        let latest = Arc::clone(&self.shared.snapshot.lock());
        let is_gone = |s: &OpenSegment| s.sealed && latest.covered.contains(&s.id);
        let gone: Vec<PathBuf> =
            self.shared.segments.lock().iter().filter(|s| is_gone(s)).map(|s| s.path.clone()).collect();
        if gone.is_empty() {
            return Ok(());
        }
        let (dir, snapshot) = (self.shared.settings.dir.clone(), Arc::clone(&latest));
        let stale = self.written.as_ref().is_none_or(|w| !Arc::ptr_eq(w, &latest));
        tokio::task::spawn_blocking(move || {
            if stale {
                tiles::write(&dir, &snapshot)?;
            }
            for path in &gone {
                std::fs::remove_file(path).map_err(JournalError::io("remove", path))?;
            }
            sync_dir(&dir).map_err(JournalError::io("sync", &dir))
        })
        .await
        .map_err(|e| JournalError::NotSealed { why: e.to_string() })??;
        self.shared.segments.lock().retain(|s| !is_gone(s));
        self.written = Some(latest);
        Ok(())
    }
}

/// Works on a thread made for it. A conversion holds tens of megabytes: they go back when its thread ends,
/// where each thread of the blocking pool would keep as much for the next one.
async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, JournalError> + Send + 'static,
) -> Result<T, JournalError> {
    let not_sealed = |why: String| JournalError::NotSealed { why };
    let (done, made) = oneshot::channel();
    let thread = std::thread::Builder::new().name("journal-seal".into());
    thread.spawn(move || drop(done.send(work()))).map_err(|e| not_sealed(e.to_string()))?;
    made.await.map_err(|_| not_sealed("the conversion panicked; the log has the details".into()))?
}

#[cfg(test)]
mod tests;
