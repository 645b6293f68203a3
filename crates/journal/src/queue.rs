//! Between requests and the writer: a shard per core, each a vector behind its own lock.
//!
//! A request pushes to the shard of its thread, so two threads rarely meet; the writer swaps whole
//! vectors out. The writer is woken by the first event after it slept, not by each.

use crate::error::JournalError;
use crate::settings::JournalSettings;
use crate::stats::Counters;
use crate::tiles::RequestTile;
use mainspring_core::{Outcome, Prediction, Target, Tenant, Timestamp};
use parking_lot::Mutex;
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use tokio::sync::oneshot;

pub(crate) type Ack = oneshot::Sender<Result<(), JournalError>>;

/// An event on its way to the writer.
pub(crate) struct Item {
    pub prediction: Prediction,
    /// The payload was there and memory was not.
    pub payload_dropped: bool,
    /// Told once the event is on disk.
    pub ack: Option<Ack>,
}

/// What was only counted, for one target.
#[derive(Debug)]
pub(crate) struct Uncounted {
    pub since: Timestamp,
    pub until: Timestamp,
    pub requests: RequestTile,
}

/// Events that found no room, per tenant and target.
pub(crate) type Overflow = HashMap<(Tenant, Arc<Target>), Uncounted>;

#[derive(Default)]
struct Shard {
    items: Vec<Item>,
    bytes: usize,
    appended: u64,
}

/// Shards stand on their own cache lines, so that two cores do not fight over one.
#[repr(align(128))]
struct Aligned(Mutex<Shard>);

pub(crate) struct Queue {
    shards: Box<[Aligned]>,
    shard_bytes: usize,
    shard_events: usize,
    /// Whether the writer is awake or has been told to wake.
    awake: AtomicBool,
    urgent: AtomicBool,
    closed: AtomicBool,
    writer: OnceLock<Thread>,
    overflow: Mutex<Overflow>,
    counters: Arc<Counters>,
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

fn payload_bytes(p: &Prediction) -> usize {
    p.inputs.iter().chain(p.outputs.iter()).map(|t| t.tensor.byte_len()).sum()
}

impl Queue {
    pub fn new(settings: &JournalSettings, counters: Arc<Counters>) -> Self {
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
        }
    }

    /// Who empties the queue. Called once, by the writer itself.
    pub fn attach(&self, writer: Thread) {
        let _again = self.writer.set(writer);
    }

    /// Takes an event without waiting. With an `ack` an event that finds no room is refused through
    /// it; without, it is counted.
    pub fn push(&self, mut prediction: Prediction, ack: Option<Ack>) {
        if self.closed.load(Ordering::Relaxed) {
            self.refuse(&prediction, ack, JournalError::Closed);
            return;
        }
        let bytes = payload_bytes(&prediction);
        let durable = ack.is_some();
        let Aligned(shard) = &self.shards[thread_index() % self.shards.len()];
        let mut shard = shard.lock();
        shard.appended += 1;
        if shard.items.len() >= self.shard_events {
            drop(shard);
            self.refuse(&prediction, ack, JournalError::Full);
            return;
        }
        let mut payload_dropped = false;
        if bytes > 0 {
            if shard.bytes + bytes > self.shard_bytes {
                prediction.inputs = Arc::default();
                prediction.outputs = Arc::default();
                payload_dropped = true;
                self.counters.payloads_dropped.fetch_add(1, Ordering::Relaxed);
            } else {
                shard.bytes += bytes;
            }
        }
        shard.items.push(Item { prediction, payload_dropped, ack });
        drop(shard);
        if durable {
            self.wake_now();
        } else if !self.awake.load(Ordering::Relaxed) && !self.awake.swap(true, Ordering::AcqRel) {
            self.unpark();
        }
    }

    fn refuse(&self, p: &Prediction, ack: Option<Ack>, why: JournalError) {
        self.counters.events_dropped.fetch_add(1, Ordering::Relaxed);
        {
            let mut overflow = self.overflow.lock();
            let entry = overflow.entry((p.tenant.clone(), Arc::clone(&p.target))).or_insert_with(|| Uncounted {
                since: p.at,
                until: p.at,
                requests: RequestTile::default(),
            });
            entry.since = entry.since.min(p.at);
            entry.until = entry.until.max(p.at);
            let failed = match &p.outcome {
                Outcome::Ok => None,
                Outcome::Failed { kind, .. } => Some(*kind),
            };
            entry.requests.record(failed, p.rows, p.assignment.forced, &p.timing);
            entry.requests.unstored += 1;
        }
        if let Some(ack) = ack {
            let _gone = ack.send(Err(why));
        }
    }

    /// Takes everything that waits, shard by shard, into `into`.
    pub fn drain(&self, into: &mut Vec<Item>, spare: &mut Vec<Item>) {
        for Aligned(shard) in &self.shards {
            let mut shard = shard.lock();
            if shard.items.is_empty() {
                continue;
            }
            std::mem::swap(&mut shard.items, spare);
            shard.bytes = 0;
            drop(shard);
            into.append(spare);
        }
    }

    /// Takes what was only counted.
    pub fn take_overflow(&self) -> Overflow {
        std::mem::take(&mut *self.overflow.lock())
    }

    pub fn is_empty(&self) -> bool {
        self.shards.iter().all(|Aligned(s)| s.lock().items.is_empty())
    }

    /// Events handed in since the start.
    pub fn appended(&self) -> u64 {
        self.shards.iter().map(|Aligned(s)| s.lock().appended).sum()
    }

    /// Says that something must be on disk soon: the writer does not linger.
    pub fn wake_now(&self) {
        self.urgent.store(true, Ordering::Release);
        self.awake.store(true, Ordering::Release);
        self.unpark();
    }

    fn unpark(&self) {
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }

    /// Whether somebody waits for the disk; asking clears it.
    pub fn take_urgent(&self) -> bool {
        self.urgent.swap(false, Ordering::AcqRel)
    }

    /// Called by the writer before it sleeps. Returns whether it may: nothing came in between.
    pub fn may_sleep(&self) -> bool {
        self.awake.store(false, Ordering::Release);
        if self.is_empty() && !self.urgent.load(Ordering::Acquire) {
            return true;
        }
        self.awake.store(true, Ordering::Release);
        false
    }

    /// Whether nobody waits for the disk.
    pub fn is_calm(&self) -> bool {
        !self.urgent.load(Ordering::Acquire)
    }

    /// From now on events are only counted.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.wake_now();
    }
}

#[cfg(test)]
mod tests;
