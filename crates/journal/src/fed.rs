//! Until when all feedback is in the log. It goes through the database, and may be on its way for as long as that is busy.

use mainspring_core::Timestamp;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

#[derive(Debug, Default)]
pub(crate) struct Fed {
    /// What this process is writing to the database, by its time.
    writing: Mutex<BTreeMap<Timestamp, usize>>,
    relayed: AtomicI64,
}

/// Feedback on its way into the database, until dropped.
pub(crate) struct Writing<'a> {
    fed: &'a Fed,
    at: Timestamp,
}

impl Fed {
    /// Feedback of this time is about to be written.
    pub fn writing(&self, at: Timestamp) -> Writing<'_> {
        *self.writing.lock().entry(at).or_default() += 1;
        Writing { fed: self, at }
    }

    /// The time before which everything is in the database at `now`. Asked before the outbox is read: what that reading
    /// does not bring is later.
    pub fn written(&self, now: Timestamp) -> Timestamp {
        self.writing.lock().keys().next().map_or(now, |first| now.min(*first))
    }

    /// Everything before `until` was moved to the log.
    pub fn relayed(&self, until: Timestamp) {
        self.relayed.fetch_max(until.micros(), Ordering::Relaxed);
    }

    pub fn until(&self) -> Timestamp {
        Timestamp(self.relayed.load(Ordering::Relaxed))
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let mut writing = self.fed.writing.lock();
        if let Some(count) = writing.get_mut(&self.at) {
            *count -= 1;
            if *count == 0 {
                writing.remove(&self.at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_being_written_holds_the_time_back() {
        let fed = Fed::default();
        let (early, late) = (fed.writing(Timestamp(5)), fed.writing(Timestamp(9)));
        let again = fed.writing(Timestamp(5));
        assert_eq!(fed.written(Timestamp(20)), Timestamp(5));
        drop(early);
        assert_eq!(fed.written(Timestamp(20)), Timestamp(5));
        drop(again);
        assert_eq!((fed.written(Timestamp(20)), fed.written(Timestamp(7))), (Timestamp(9), Timestamp(7)));
        drop(late);
        fed.relayed(fed.written(Timestamp(20)));
        fed.relayed(Timestamp(12));
        assert_eq!(fed.until(), Timestamp(20));
    }
}
