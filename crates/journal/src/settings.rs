//! How the journal behaves.

use crate::retention::Retention;
use std::path::PathBuf;
use std::time::Duration;

/// When an appended event has reached the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncMode {
    /// One `fsync` for everything that came within this time. A power cut loses at most that much; a
    /// killed process loses at most [`JournalSettings::emit_every`].
    Interval(Duration),
    /// The reply waits for the disk: callers use [`Journal::append_durable`](crate::Journal::append_durable).
    Always,
}

/// Settings of one journal.
#[derive(Debug, Clone)]
pub struct JournalSettings {
    /// Folder of the log; created when missing. One process at a time.
    pub dir: PathBuf,
    /// When events are on disk.
    pub sync: SyncMode,
    /// Bytes of payload that may wait for the writer.
    pub max_bytes: usize,
    /// Events that may wait for the writer.
    pub max_events: usize,
    /// How often waiting events become a batch: in the log, for queries and for subscribers.
    pub emit_every: Duration,
    /// A segment is sealed when it has this many bytes,
    pub seal_bytes: u64,
    /// or when its first event is this old.
    pub seal_after: Duration,
    /// What is kept, unless a deployment says otherwise.
    pub retention: Retention,
    /// Called on the writer's thread once it has gone quiet after much work: an allocator keeps for each thread what its
    /// last burst left, and only that thread can give it back.
    pub quiet: fn(),
}

impl JournalSettings {
    /// The defaults, with the log in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            sync: SyncMode::Interval(Duration::from_millis(200)),
            max_bytes: 64 << 20,
            max_events: 128 << 10,
            emit_every: Duration::from_millis(100),
            seal_bytes: 32 << 20,
            seal_after: Duration::from_secs(300),
            retention: Retention::default(),
            quiet: || {},
        }
    }
}
