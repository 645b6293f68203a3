//! When a segment ends, and when the writer sleeps.

use super::{Done, State, Writer};
use crate::error::JournalError;
use crate::log::segment::{Segment, SegmentId};
use crate::seal::SealJob;
use crate::snapshot::OpenSegment;
use crate::stats::spend;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the tiles are put down for the sealer, unless sealed segments, which stay on disk until then,
/// are as large as this many full ones.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(20);
const MOST_SEALED: u64 = 4;

impl Writer {
    pub(super) fn rotate_if_due(&mut self, seals: Vec<Done>) {
        let settings = &self.shared.settings;
        let due = self.state.segment.as_ref().is_some_and(|s| {
            s.len() >= settings.seal_bytes || (!s.is_empty() && s.opened.elapsed() >= settings.seal_after)
        });
        if (due && self.state.retry_at.is_none()) || !seals.is_empty() {
            self.write();
            self.sync();
            self.rotate(seals);
        } else if self.state.suspect && self.state.segment.as_ref().is_none_or(|s| s.pending_bytes() == 0) {
            // The kernel reports a failed sync once and may have dropped what it could not write; the
            // next sync of this file would say that all is well.
            self.rotate(seals);
        }
    }

    /// Ends the segment and hands it to the sealer.
    fn rotate(&mut self, waiting: Vec<Done>) {
        let begun = Instant::now();
        self.hand_over(waiting);
        spend(&self.shared.counters.spent.rotate, begun);
    }

    fn hand_over(&mut self, waiting: Vec<Done>) {
        self.shared.tiles.roll(self.shared.ctx.now());
        let suspect = std::mem::take(&mut self.state.suspect);
        let ended = match &self.state.segment {
            Some(s) if s.pending_bytes() == 0 && (suspect || !s.is_unsynced()) && !s.is_empty() => {
                self.state.segment.take()
            }
            _ => None,
        };
        if self.state.segment.as_ref().is_some_and(|s| !s.is_empty()) {
            let why = self.shared.counters.last_error.lock().clone().unwrap_or_default();
            for done in waiting {
                let _gone = done.send(Err(JournalError::NotDurable { why: why.clone() }));
            }
            return;
        }
        let segment = ended.map(|s| OpenSegment { id: s.id, path: s.path.clone(), len: s.written(), sealed: false });
        if segment.is_none() && waiting.is_empty() {
            return;
        }
        let sealed: u64 = self.shared.segments.lock().iter().filter(|s| s.sealed).map(|s| s.len).sum();
        let due = self.state.snapshot_at.is_none_or(|at| at.elapsed() >= SNAPSHOT_EVERY)
            || sealed > self.shared.settings.seal_bytes.saturating_mul(MOST_SEALED);
        if due || !waiting.is_empty() {
            self.put_tiles_down();
        }
        // The sealer outlives the writer; it is gone only when the runtime is.
        let _runtime_gone = self.sealer.send(SealJob { segment, waiting });
    }

    /// Puts the tiles down as they stand. No segment has rows and is still being written, so they have
    /// seen all there are, each as a whole.
    fn put_tiles_down(&mut self) {
        let current = self.state.segment.as_ref().map(|s| s.id);
        let all = self.shared.segments.lock();
        let covered: Vec<SegmentId> = all.iter().map(|s| s.id).filter(|id| Some(*id) != current).collect();
        drop(all);
        *self.shared.snapshot.lock() = Arc::new(self.shared.tiles.snapshot(&covered));
        self.state.snapshot_at = Some(Instant::now());
    }

    pub(super) fn finish(&mut self) {
        self.state.retry_at = None;
        self.take_events();
        self.persist(true);
        self.write();
        self.sync();
        self.rotate(Vec::new());
        self.answer();
        if self.state.segment.as_ref().is_none_or(Segment::is_empty) {
            self.put_tiles_down();
        }
    }

    pub(super) fn sleep(&self) {
        let settings = &self.shared.settings;
        let may_rotate = |s: &&Segment| !s.is_empty() && self.state.retry_at.is_none();
        let rotate_at = self.state.segment.as_ref().filter(may_rotate).map(|s| s.opened + settings.seal_after);
        let State { emit_at, sync_at, retry_at, quiet_at, .. } = self.state;
        let next = [emit_at, sync_at, retry_at, quiet_at, rotate_at].into_iter().flatten().min();
        // Until it is known when events are taken, the next one says that there are some.
        let unknown = self.state.emit_at.is_none();
        if self.state.unwritten || (unknown && !self.shared.queue.may_sleep()) {
            return;
        }
        match next.map(|at| at.saturating_duration_since(Instant::now())) {
            Some(Duration::ZERO) => {}
            Some(wait) => std::thread::park_timeout(wait),
            None => std::thread::park(),
        }
    }
}
