//! Counters of the journal itself, for metrics and for the status page.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// What the journal has done since it was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct JournalStats {
    /// Predictions handed to `append`.
    pub appended: u64,
    /// Events whose payload was dropped because memory was full.
    pub payloads_dropped: u64,
    /// Events that were counted but not stored because memory was full.
    pub events_dropped: u64,
    /// Rows lost after the queue because the disk stayed full.
    pub rows_lost: u64,
    /// Rows written to the log.
    pub rows: u64,
    /// Bytes written to the log.
    pub bytes: u64,
    /// Times the log was forced to disk.
    pub syncs: u64,
    /// Failed writes to the log.
    pub write_errors: u64,
    /// Whether the log takes no writes now.
    pub degraded: bool,
    /// The last failure of the log or of sealing.
    pub last_error: Option<String>,
    /// Segments turned into Parquet.
    pub segments_sealed: u64,
    /// Segments waiting to be turned into Parquet, the one being written included.
    pub segments_open: u64,
    /// Failed attempts to seal.
    pub seal_errors: u64,
    /// Caller's own ids that were not indexed because the database fell behind.
    pub client_ids_skipped: u64,
    /// Pieces of feedback taken.
    pub feedback: u64,
    /// Pieces of feedback that had been taken before.
    pub feedback_duplicates: u64,
    /// Where the time of the journal's own threads went, nanoseconds.
    pub spent: Spent,
}

/// Nanoseconds by stage, waiting for the disk included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Spent {
    /// Taking events from the queue and putting their values into columns.
    pub columns_ns: u64,
    /// Counting rows into tiles.
    pub tiles_ns: u64,
    /// Encoding frames with their checksums.
    pub encode_ns: u64,
    /// Writing to the log.
    pub write_ns: u64,
    /// Forcing the log to disk.
    pub sync_ns: u64,
    /// Ending segments, with a snapshot of the tiles now and then.
    pub rotate_ns: u64,
    /// Turning segments into Parquet and storing it.
    pub seal_ns: u64,
}

impl Spent {
    /// Each stage by name.
    pub fn stages(&self) -> [(&'static str, u64); 7] {
        [
            ("columns", self.columns_ns),
            ("tiles", self.tiles_ns),
            ("encode", self.encode_ns),
            ("write", self.write_ns),
            ("sync", self.sync_ns),
            ("rotate", self.rotate_ns),
            ("seal", self.seal_ns),
        ]
    }
}

/// Adds the time since `begun` to a counter.
pub(crate) fn spend(counter: &AtomicU64, begun: Instant) {
    counter.fetch_add(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX), Relaxed);
}

#[derive(Debug, Default)]
pub(crate) struct SpentCounters {
    /// All that the writer did while it was awake.
    pub awake: AtomicU64,
    pub tiles: AtomicU64,
    pub encode: AtomicU64,
    pub write: AtomicU64,
    pub sync: AtomicU64,
    pub rotate: AtomicU64,
    pub seal: AtomicU64,
}

impl SpentCounters {
    fn read(&self) -> Spent {
        let of = |c: &AtomicU64| c.load(Relaxed);
        let apart = [&self.tiles, &self.encode, &self.write, &self.sync, &self.rotate].map(of);
        let [tiles_ns, encode_ns, write_ns, sync_ns, rotate_ns] = apart;
        let columns_ns = of(&self.awake).saturating_sub(apart.iter().sum());
        Spent { columns_ns, tiles_ns, encode_ns, write_ns, sync_ns, rotate_ns, seal_ns: of(&self.seal) }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub payloads_dropped: AtomicU64,
    pub events_dropped: AtomicU64,
    pub rows_lost: AtomicU64,
    pub rows: AtomicU64,
    pub bytes: AtomicU64,
    pub syncs: AtomicU64,
    pub write_errors: AtomicU64,
    pub degraded: AtomicU64,
    pub segments_sealed: AtomicU64,
    pub seal_errors: AtomicU64,
    pub client_ids_skipped: AtomicU64,
    pub feedback: AtomicU64,
    pub feedback_duplicates: AtomicU64,
    pub spent: SpentCounters,
    pub last_error: Mutex<Option<String>>,
}

impl Counters {
    pub fn failed(&self, counter: &AtomicU64, error: String) {
        counter.fetch_add(1, Relaxed);
        *self.last_error.lock() = Some(error);
    }

    pub fn read(&self, appended: u64, segments_open: u64) -> JournalStats {
        JournalStats {
            appended,
            payloads_dropped: self.payloads_dropped.load(Relaxed),
            events_dropped: self.events_dropped.load(Relaxed),
            rows_lost: self.rows_lost.load(Relaxed),
            rows: self.rows.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            syncs: self.syncs.load(Relaxed),
            write_errors: self.write_errors.load(Relaxed),
            degraded: self.degraded.load(Relaxed) != 0,
            last_error: self.last_error.lock().clone(),
            segments_sealed: self.segments_sealed.load(Relaxed),
            segments_open,
            seal_errors: self.seal_errors.load(Relaxed),
            client_ids_skipped: self.client_ids_skipped.load(Relaxed),
            feedback: self.feedback.load(Relaxed),
            feedback_duplicates: self.feedback_duplicates.load(Relaxed),
            spent: self.spent.read(),
        }
    }
}
