//! From log segments to Parquet in the artifact store.
//!
//! A segment is read, written as one Parquet file for each stream and day, put into the store, and
//! only then deleted. The files are named after the segment, so doing it again after a crash replaces
//! them with the same rows; until the segment is gone, readers take its rows from the log only.

use crate::error::JournalError;
use crate::journal::Shared;
use crate::log::segment::sync_dir;
use crate::snapshot::OpenSegment;
use crate::tiles;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

pub(crate) mod parquet;
pub(crate) mod store;

const FIRST_RETRY: Duration = Duration::from_millis(500);
const LAST_RETRY: Duration = Duration::from_secs(60);

/// A segment to seal; without one, a question whether everything before it is sealed.
pub(crate) struct SealJob {
    pub segment: Option<OpenSegment>,
    /// A snapshot of the tiles that has seen the segment.
    pub tiles: Option<Arc<Vec<u8>>>,
    pub waiting: Vec<oneshot::Sender<Result<(), JournalError>>>,
}

/// Seals one segment after the other until the writer is gone. At shutdown a segment that cannot be
/// sealed stays in the log for the next start.
pub(crate) async fn run(shared: Arc<Shared>, mut jobs: mpsc::UnboundedReceiver<SealJob>) {
    let stop = shared.ctx.tasks.cancelled();
    while let Some(job) = jobs.recv().await {
        let mut waiting = job.waiting;
        let Some(segment) = job.segment else {
            waiting.drain(..).for_each(|done| drop(done.send(Ok(()))));
            continue;
        };
        let mut retry = FIRST_RETRY;
        loop {
            match seal(&shared, &segment, job.tiles.as_deref()).await {
                Ok(()) => {
                    shared.counters.segments_sealed.fetch_add(1, Relaxed);
                    waiting.drain(..).for_each(|done| drop(done.send(Ok(()))));
                    break;
                }
                Err(e) => {
                    tracing::error!(error = %e, segment = %segment.path.display(), "cannot seal a segment; it stays in the log");
                    shared.counters.failed(&shared.counters.seal_errors, e.to_string());
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
}

async fn seal(shared: &Shared, segment: &OpenSegment, tiles: Option<&Vec<u8>>) -> Result<(), JournalError> {
    let (from, scratch) = (segment.clone(), shared.settings.dir.join("sealing"));
    let made = tokio::task::spawn_blocking(move || parquet::convert(&from, &scratch))
        .await
        .map_err(|e| JournalError::NotSealed { why: e.to_string() })??;
    for file in &made {
        store::put(&shared.artifacts, file).await?;
    }
    let (dir, path) = (shared.settings.dir.clone(), segment.path.clone());
    if let Some(tiles) = tiles {
        tiles::write(&dir, tiles)?;
    }
    // From here on readers see the files; the name of the segment goes last.
    shared.open.lock().retain(|s| s.id != segment.id);
    std::fs::remove_file(&path).map_err(JournalError::io("remove", &path))?;
    sync_dir(&dir).map_err(JournalError::io("sync", &dir))
}

#[cfg(test)]
mod tests;
