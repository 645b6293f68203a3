//! Which instances are idle, as one atomic count.

use super::Runner;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug)]
pub(super) struct Slots {
    idle: AtomicUsize,
}

/// One instance, until dropped.
pub(super) struct Slot<S: AsSlots>(S);

/// Something that has slots: the slots themselves, or what runs the model and owns them.
pub(super) trait AsSlots {
    fn slots(&self) -> &Slots;
}

impl AsSlots for &Slots {
    fn slots(&self) -> &Slots {
        self
    }
}

impl AsSlots for Arc<Runner> {
    fn slots(&self) -> &Slots {
        &self.deref().slots
    }
}

impl Slots {
    pub fn new(instances: usize) -> Self {
        Self { idle: AtomicUsize::new(instances) }
    }

    fn take(&self) -> bool {
        // SeqCst, here and in the queue's length: a thread that frees an instance and then sees an
        // empty queue, and one that fills the queue and then sees no instance, cannot both be.
        self.idle.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok()
    }

    pub fn try_acquire(&self) -> Option<Slot<&Slots>> {
        self.take().then_some(Slot(self))
    }

    pub fn try_acquire_owned(&self, owner: &Arc<Runner>) -> Option<Slot<Arc<Runner>>> {
        self.take().then(|| Slot(Arc::clone(owner)))
    }
}

impl<S: AsSlots> Drop for Slot<S> {
    fn drop(&mut self) {
        self.0.slots().idle.fetch_add(1, Ordering::SeqCst);
    }
}
