//! Sessions that several threads use. `ort` runs a session through `&mut`, so each call holds one.

use parking_lot::{Mutex, MutexGuard};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Spreads threads over slots, so that with a session a thread nobody ever waits.
    static PLACE: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed));
}

/// A fixed number of `T`s, each used by one thread at a time.
#[derive(Debug)]
pub(crate) struct Pool<T>(Vec<Mutex<T>>);

impl<T> Pool<T> {
    pub(crate) fn new(items: Vec<T>) -> Self {
        Self(items.into_iter().map(Mutex::new).collect())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// A free one, the calling thread's usual one first; waits for that one when all are taken.
    pub(crate) fn take(&self) -> MutexGuard<'_, T> {
        let start = PLACE.get() % self.0.len();
        let (before, from) = self.0.split_at(start);
        from.iter().chain(before).find_map(Mutex::try_lock).unwrap_or_else(|| self.0[start].lock())
    }
}
