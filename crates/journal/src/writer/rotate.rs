//! When a segment ends, and when the writer sleeps.

use super::{Done, LINGER, Writer};
use crate::error::JournalError;
use crate::log::segment::{Segment, SegmentId};
use crate::seal::SealJob;
use crate::snapshot::OpenSegment;
use std::sync::Arc;
use std::time::Instant;

impl Writer {
    pub(super) fn rotate_if_due(&mut self, seals: Vec<Done>) {
        let settings = &self.shared.settings;
        let due = self.state.segment.as_ref().is_some_and(|s| {
            s.len() >= settings.seal_bytes || (!s.is_empty() && s.opened.elapsed() >= settings.seal_after)
        });
        if (due && self.state.retry_at.is_none()) || !seals.is_empty() {
            self.rotate(seals);
        }
    }

    /// Ends the segment and hands it to the sealer with the tiles as they stand.
    fn rotate(&mut self, waiting: Vec<Done>) {
        self.write();
        self.sync();
        self.shared.tiles.roll(self.shared.ctx.now());
        let ended = match &self.state.segment {
            Some(s) if s.pending_bytes() == 0 && !s.is_unsynced() && !s.is_empty() => self.state.segment.take(),
            _ => None,
        };
        if self.state.segment.as_ref().is_some_and(|s| !s.is_empty()) {
            let why = self.shared.counters.last_error.lock().clone().unwrap_or_default();
            for done in waiting {
                let _gone = done.send(Err(JournalError::NotDurable { why: why.clone() }));
            }
            return;
        }
        let segment = ended.map(|s| OpenSegment { id: s.id, path: s.path.clone(), len: s.written() });
        if segment.is_none() && waiting.is_empty() {
            return;
        }
        let covered: Vec<SegmentId> = self.shared.open.lock().iter().map(|s| s.id).collect();
        let tiles = segment.as_ref().map(|_| Arc::new(self.shared.tiles.snapshot(&covered)));
        // The sealer outlives the writer; it is gone only when the runtime is.
        let _runtime_gone = self.sealer.send(SealJob { segment, tiles, waiting });
    }

    pub(super) fn finish(&mut self) {
        self.persist(true);
        self.rotate(Vec::new());
        self.answer();
    }

    pub(super) fn sleep(&self) {
        let now = Instant::now();
        let settings = &self.shared.settings;
        let may_rotate = |s: &&Segment| !s.is_empty() && self.state.retry_at.is_none();
        let rotate_at = self.state.segment.as_ref().filter(may_rotate).map(|s| s.opened + settings.seal_after);
        let next = [self.state.emit_at, self.state.sync_at, self.state.retry_at, rotate_at].into_iter().flatten().min();
        if !self.shared.queue.may_sleep() {
            // More came meanwhile: let it gather, unless somebody waits for it.
            std::thread::park_timeout(LINGER);
            return;
        }
        match next {
            Some(at) if at <= now => {}
            Some(at) => std::thread::park_timeout(at - now),
            None => std::thread::park(),
        }
        // Woken by the first event after a pause: let more gather before taking it.
        if self.shared.queue.is_calm() {
            std::thread::park_timeout(LINGER);
        }
    }
}
