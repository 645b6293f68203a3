//! Between requests and the writer: a shard per core, each a few batches behind its own lock.
//!
//! A request puts its values into the columns of its thread's shard, so two threads rarely meet, and
//! nothing of a request outlives it here; the writer takes whole batches. The writer is woken by the first
//! event after a pause, not by each.

use crate::batch::{self, Batch};
use crate::error::JournalError;
use crate::layout::Layout;
use crate::settings::JournalSettings;
use crate::stats::Counters;
use crate::tally;
use crate::tiles::RequestTile;
use mainspring_core::{Outcome, Prediction, Target, Tenant, Timestamp, Tokens};
use mainspring_process::tally::Tally;
use parking_lot::Mutex;
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use tokio::sync::oneshot;

pub(crate) type Ack = oneshot::Sender<Result<(), JournalError>>;

/// What was only counted, for one target.
#[derive(Debug)]
pub(crate) struct Uncounted {
    pub since: Timestamp,
    pub until: Timestamp,
    pub requests: RequestTile,
    /// What those requests took.
    pub taken: Taken,
    /// Answers in the shadow of others: nobody waited for them, and they are in no tile.
    pub shadows: Shadows,
}

/// What answers took.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Of the engine, nanoseconds.
    pub compute_ns: u64,
    pub tokens: Tokens,
}

impl Taken {
    fn add(&mut self, p: &Prediction) {
        self.compute_ns += p.compute_ns();
        self.tokens = self.tokens + p.spent_tokens();
    }
}

/// Answers in the shadow of others.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shadows {
    pub events: u64,
    pub failed: u64,
    pub taken: Taken,
}

/// Events that found no room, per tenant and target.
pub(crate) type Overflow = HashMap<(Tenant, Arc<Target>), Uncounted>;

#[derive(Default)]
struct Shard {
    batches: Vec<Batch>,
    acks: Vec<Ack>,
    /// Events and bytes of payload in the batches.
    events: usize,
    bytes: usize,
    appended: u64,
}

impl Shard {
    /// Puts an event into its batch. Returns whether a batch is full now.
    fn put(&mut self, p: &Prediction, payload: bool) -> bool {
        let lines = batch::lines(p);
        let (mut from, mut full) = (0, false);
        while from < lines {
            let batch = self.batch_for(p, payload);
            let to = lines.min(from + batch::MAX_ROWS - batch.rows());
            batch.push(p, from..to, payload);
            full |= batch.is_full();
            from = to;
        }
        full
    }

    /// The batch that takes `p`; a new one when none fits.
    fn batch_for(&mut self, p: &Prediction, payload: bool) -> &mut Batch {
        let bare = !(payload && batch::has_payload(p));
        let fits = |b: &Batch| !b.is_full() && b.is_for(&p.tenant, &p.target) && (bare || b.layout.matches(p));
        let at = self.batches.iter().position(fits).unwrap_or_else(|| {
            let layout = if bare { Layout::default() } else { Layout::of(p) };
            self.batches.push(Batch::new(p.tenant.clone(), Arc::clone(&p.target), layout));
            self.batches.len() - 1
        });
        &mut self.batches[at]
    }
}

/// Shards stand on their own cache lines, so that two cores do not fight over one.
#[repr(align(128))]
struct Aligned(Mutex<Shard>);

pub(crate) struct Queue {
    shards: Box<[Aligned]>,
    shard_bytes: usize,
    shard_events: usize,
    /// Whether the writer knows that there are events, or has been told.
    awake: AtomicBool,
    urgent: AtomicBool,
    closed: AtomicBool,
    writer: OnceLock<Thread>,
    overflow: Mutex<Overflow>,
    counters: Arc<Counters>,
    /// Where each shard says how many events it was handed.
    tally: Option<Arc<Tally>>,
}

static NEXT_THREAD: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static THREAD: Cell<usize> = const { Cell::new(usize::MAX) };
}

fn thread_index() -> usize {
    THREAD.with(|t| {
        if t.get() == usize::MAX {
            t.set(NEXT_THREAD.fetch_add(1, Ordering::Relaxed));
        }
        t.get()
    })
}

impl Queue {
    pub fn new(settings: &JournalSettings, counters: Arc<Counters>, tally: Option<Arc<Tally>>) -> Self {
        let shards = std::thread::available_parallelism().map_or(2, usize::from).clamp(1, 16);
        Self {
            shards: (0..shards).map(|_| Aligned(Mutex::default())).collect(),
            shard_bytes: (settings.max_bytes / shards).max(1),
            shard_events: (settings.max_events / shards).max(1),
            awake: AtomicBool::new(false),
            urgent: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            writer: OnceLock::new(),
            overflow: Mutex::default(),
            counters,
            tally,
        }
    }

    /// Who empties the queue. Called once, by the writer itself.
    pub fn attach(&self, writer: Thread) {
        let _again = self.writer.set(writer);
    }

    /// Takes an event without waiting. With an `ack` an event that finds no room is refused through
    /// it; without, it is counted.
    pub fn push(&self, p: &Prediction, ack: Option<Ack>) {
        let bytes = batch::payload_bytes(p);
        let at = thread_index() % self.shards.len();
        let Aligned(shard) = &self.shards[at];
        let mut shard = shard.lock();
        shard.appended += 1;
        if let Some(tally) = &self.tally {
            tally.set(tally::HANDED + at, shard.appended);
        }
        // Looked at under the lock: what slips in before the end is then seen by the last take.
        let closed = self.closed.load(Ordering::Relaxed);
        if closed || shard.events >= self.shard_events {
            drop(shard);
            self.refuse(p, ack, if closed { JournalError::Closed } else { JournalError::Full });
            return;
        }
        let payload = shard.bytes + bytes <= self.shard_bytes;
        if payload {
            shard.bytes += bytes;
        } else {
            self.counters.payloads_dropped.fetch_add(1, Ordering::Relaxed);
        }
        shard.events += 1;
        let full = shard.put(p, payload);
        // Half full is the time to begin emptying.
        let crowded = shard.events * 2 > self.shard_events || shard.bytes * 2 > self.shard_bytes;
        let now = full || crowded || ack.is_some();
        shard.acks.extend(ack);
        drop(shard);
        if now {
            self.wake_now();
        } else if !self.awake.load(Ordering::Relaxed) && !self.awake.swap(true, Ordering::AcqRel) {
            self.unpark();
        }
    }

    fn refuse(&self, p: &Prediction, ack: Option<Ack>, why: JournalError) {
        self.counters.events_dropped.fetch_add(1, Ordering::Relaxed);
        let mut overflow = self.overflow.lock();
        let entry = overflow.entry((p.tenant.clone(), Arc::clone(&p.target))).or_insert_with(|| Uncounted {
            since: p.at,
            until: p.at,
            requests: RequestTile::default(),
            taken: Taken::default(),
            shadows: Shadows::default(),
        });
        entry.since = entry.since.min(p.at);
        entry.until = entry.until.max(p.at);
        let failed = match &p.outcome {
            Outcome::Ok => None,
            Outcome::Failed { kind, .. } => Some(*kind),
        };
        if p.assignment.shadow_of.is_some() {
            entry.shadows.events += 1;
            entry.shadows.failed += u64::from(failed.is_some());
            entry.shadows.taken.add(p);
        } else {
            entry.requests.record(failed, p.rows, p.assignment.forced, &p.timing);
            entry.requests.unstored += 1;
            entry.taken.add(p);
        }
        drop(overflow);
        if let Some(ack) = ack {
            let _gone = ack.send(Err(why));
        }
    }

    /// Takes everything that waits: batches with rows, and who wants to know when those are on disk.
    pub fn take(&self, batches: &mut Vec<Batch>, acks: &mut Vec<Ack>) {
        for Aligned(shard) in &self.shards {
            let mut shard = shard.lock();
            batches.append(&mut shard.batches);
            acks.append(&mut shard.acks);
            (shard.events, shard.bytes) = (0, 0);
        }
    }

    /// Takes what was only counted.
    pub fn take_overflow(&self) -> Overflow {
        std::mem::take(&mut *self.overflow.lock())
    }

    pub fn is_empty(&self) -> bool {
        self.shards.iter().all(|Aligned(s)| s.lock().events == 0)
    }

    /// Events handed in since the start.
    pub fn appended(&self) -> u64 {
        self.shards.iter().map(|Aligned(s)| s.lock().appended).sum()
    }

    /// Says that the writer should take what there is now.
    pub fn wake_now(&self) {
        // When it was said already, the writer has yet to look.
        if !self.urgent.swap(true, Ordering::AcqRel) {
            self.awake.store(true, Ordering::Release);
            self.unpark();
        }
    }

    fn unpark(&self) {
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }

    /// Whether the writer should take what there is now; asking clears it.
    pub fn take_urgent(&self) -> bool {
        self.urgent.swap(false, Ordering::AcqRel)
    }

    /// Called by the writer before it sleeps without knowing of events, which will then wake it. Returns
    /// whether it may: nothing came in between.
    pub fn may_sleep(&self) -> bool {
        self.awake.store(false, Ordering::Release);
        if self.is_empty() && !self.urgent.load(Ordering::Acquire) {
            return true;
        }
        self.awake.store(true, Ordering::Release);
        false
    }

    /// From now on events are only counted.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.wake_now();
    }
}

#[cfg(test)]
mod tests;
