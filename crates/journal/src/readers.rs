//! Who reads sealed files now, so that retention removes none under its reader.

use mainspring_artifact::ArtifactPath;
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use tokio::sync::Notify;

/// Those who read now, and the files that nobody may begin to read.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    state: Mutex<State>,
    /// Rung when a reader ends.
    ended: Notify,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    reading: BTreeSet<u64>,
    /// Each with the number of the first reader that does not see it.
    leaving: HashMap<ArtifactPath, u64>,
}

/// Sealed files stay where they are while this lives. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Reading {
    one: Arc<Reader>,
}

#[derive(Debug)]
struct Reader {
    of: Arc<Readers>,
    number: u64,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.of.state.lock().reading.remove(&self.number);
        self.of.ended.notify_waiters();
    }
}

/// Files that are being removed; no reader finds them.
pub(crate) struct Leaving<'a> {
    of: &'a Readers,
    files: &'a [(ArtifactPath, u64)],
    /// Readers from this number on do not know the files.
    since: u64,
}

impl Readers {
    /// Begins to read. Look for files after this, not before.
    pub fn begin(self: &Arc<Self>) -> Reading {
        let mut state = self.state.lock();
        let number = state.next;
        state.next += 1;
        state.reading.insert(number);
        Reading { one: Arc::new(Reader { of: Arc::clone(self), number }) }
    }

    /// Whether a reader sees a file: of those that one clean-up removes it sees all or none.
    pub fn sees(&self, reading: &Reading, file: &ArtifactPath) -> bool {
        self.state.lock().leaving.get(file).is_none_or(|since| reading.one.number < *since)
    }

    /// Hides files from every reader that begins from now on.
    pub fn hide<'a>(&'a self, files: &'a [(ArtifactPath, u64)]) -> Leaving<'a> {
        let mut state = self.state.lock();
        let since = state.next;
        for (file, _) in files {
            state.leaving.entry(file.clone()).or_insert(since);
        }
        Leaving { of: self, files, since }
    }
}

impl Leaving<'_> {
    /// Waits until everybody who may know one of the files has ended.
    pub async fn unread(&self) {
        loop {
            let ended = self.of.ended.notified();
            if self.of.state.lock().reading.first().is_none_or(|first| *first >= self.since) {
                return;
            }
            ended.await;
        }
    }
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let mut state = self.of.state.lock();
        for (file, _) in self.files {
            state.leaving.remove(file);
        }
    }
}
