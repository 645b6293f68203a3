//! Requests that wait for an instance, and how they are put together.

use super::{BatchRules, Loaded, OwnedSlot, PartSender, Ran};
use crate::stats::ClosedBy;
use mainspring_core::EventId;
use mainspring_core::tensor::NamedTensor;
use mainspring_engine::{EngineError, Params};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::sync::oneshot;

/// What comes back to a request that waited.
#[derive(Debug)]
pub(crate) enum Reply {
    /// It was in a call.
    Ran(Result<Ran, EngineError>),
    /// Its deadline passed first.
    Expired,
}

/// What a request asks for.
pub(crate) struct Work {
    /// The prediction that it becomes.
    pub id: EventId,
    pub inputs: Arc<[NamedTensor]>,
    pub rows: usize,
    pub params: Option<Params>,
    pub deadline: Option<Instant>,
    /// Where the parts of its answer go, when it wants it in parts.
    pub parts: Option<PartSender>,
}

/// One request in the queue.
pub(crate) struct Item {
    seq: u64,
    /// Whose request it is; stays loaded until it is answered.
    pub(super) owner: Arc<Loaded>,
    pub work: Work,
    pub enqueued: Instant,
    pub reply: oneshot::Sender<Reply>,
}

/// Requests that go into one call.
pub(super) struct Batch {
    pub items: Vec<Item>,
    pub closed: ClosedBy,
}

/// What makes the queue look at itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trigger {
    /// A request came, or an instance is idle again.
    Idle,
    /// The oldest request has waited for long enough.
    Delay,
}

pub(super) struct Queue {
    rules: BatchRules,
    state: Mutex<Waitlist>,
    /// Length of the list, readable without the lock.
    len: AtomicUsize,
}

#[derive(Default)]
struct Waitlist {
    items: VecDeque<Item>,
    rows: usize,
    next: u64,
    /// An alarm is set for this instant.
    alarm: Option<Instant>,
}

impl Queue {
    pub fn new(rules: BatchRules) -> Self {
        Self { rules, state: Mutex::default(), len: AtomicUsize::new(0) }
    }

    pub fn len(&self) -> usize {
        self.len.load(Ordering::SeqCst)
    }

    /// Appends a request. Returns its place, and when to set an alarm if one is needed.
    pub fn push(&self, owner: &Arc<Loaded>, work: Work) -> (Waiting, Option<Instant>) {
        let (reply, answer) = oneshot::channel();
        let enqueued = Instant::now();
        let mut state = self.state.lock();
        let seq = state.next;
        state.next += 1;
        state.rows += work.rows;
        state.items.push_back(Item { seq, owner: Arc::clone(owner), work, enqueued, reply });
        self.len.store(state.items.len(), Ordering::SeqCst);
        let alarm = self.alarm(&mut state);
        (Waiting { owner: Arc::clone(owner), seq, answer, done: false }, alarm)
    }

    /// An instant for the timer, when something waits for its delay and no alarm is set for it.
    fn alarm(&self, state: &mut Waitlist) -> Option<Instant> {
        if self.rules.max_delay.is_zero() || !self.rules.shared || state.alarm.is_some() {
            return None;
        }
        let at = state.items.front()?.enqueued + self.rules.max_delay;
        state.alarm = Some(at);
        Some(at)
    }

    /// The alarm went off.
    pub fn disarm(&self) {
        self.state.lock().alarm = None;
    }

    /// When to set the next alarm. None is set for a request that is due already: it waits for an
    /// instance, not for time.
    pub fn rearm(&self) -> Option<Instant> {
        let mut state = self.state.lock();
        let due = state.items.front().is_some_and(|i| i.enqueued + self.rules.max_delay <= Instant::now());
        if due { None } else { self.alarm(&mut state) }
    }

    fn due(&self, state: &Waitlist, now: Instant) -> bool {
        state.items.front().is_some_and(|oldest| {
            !self.rules.shared
                || self.rules.max_delay.is_zero()
                || state.rows >= self.rules.max_rows
                || oldest.enqueued + self.rules.max_delay <= now
        })
    }

    /// Takes the next batch if one is due and `slot` finds an idle instance. The batch may turn out
    /// empty, when everybody in it had gone.
    pub fn take(
        &self,
        trigger: Trigger,
        now: Instant,
        slot: impl FnOnce() -> Option<OwnedSlot>,
    ) -> Option<(Batch, OwnedSlot)> {
        let mut state = self.state.lock();
        if !self.due(&state, now) {
            return None;
        }
        let slot = slot()?;
        let batch = self.close(&mut state, trigger, now);
        self.len.store(state.items.len(), Ordering::SeqCst);
        Some((batch, slot))
    }

    fn close(&self, state: &mut Waitlist, trigger: Trigger, now: Instant) -> Batch {
        let mut items: Vec<Item> = Vec::new();
        let mut rows = 0;
        let mut closed = match trigger {
            _ if !self.rules.shared => ClosedBy::Alone,
            Trigger::Delay if !self.rules.max_delay.is_zero() => ClosedBy::Delay,
            _ => ClosedBy::Idle,
        };
        while let Some(next) = state.items.front() {
            let gone = next.reply.is_closed();
            let expired = next.work.deadline.is_some_and(|d| d <= now);
            if !gone && !expired && !items.is_empty() {
                if !self.rules.shared {
                    break;
                }
                if rows + next.work.rows > self.rules.max_rows {
                    closed = ClosedBy::Size;
                    break;
                }
                if !together(&items[0].work, &next.work) {
                    closed = ClosedBy::Shape;
                    break;
                }
            }
            let Some(item) = state.items.pop_front() else { break };
            state.rows -= item.work.rows;
            if gone {
                continue;
            }
            if expired {
                let _ = item.reply.send(Reply::Expired);
                continue;
            }
            rows += item.work.rows;
            items.push(item);
            if self.rules.shared && rows >= self.rules.max_rows {
                closed = ClosedBy::Size;
                break;
            }
        }
        Batch { items, closed }
    }

    fn remove(&self, seq: u64) {
        let mut state = self.state.lock();
        let Ok(at) = state.items.binary_search_by_key(&seq, |i| i.seq) else { return };
        if let Some(item) = state.items.remove(at) {
            state.rows -= item.work.rows;
            self.len.store(state.items.len(), Ordering::SeqCst);
        }
    }
}

/// Whether rows of both fit under each other, in one call that does the same for both.
pub(super) fn together(a: &Work, b: &Work) -> bool {
    a.parts.is_none()
        && b.parts.is_none()
        && a.params == b.params
        && a.inputs.len() == b.inputs.len()
        && a.inputs.iter().zip(b.inputs.iter()).all(|(x, y)| {
            x.tensor.shape().get(1..) == y.tensor.shape().get(1..)
                && x.tensor.dtype() == y.tensor.dtype()
                // Optional inputs may be left out.
                && x.name == y.name
        })
}

/// A place in the queue: a future of the reply. Dropping it gives the place up.
pub(crate) struct Waiting {
    owner: Arc<Loaded>,
    seq: u64,
    answer: oneshot::Receiver<Reply>,
    done: bool,
}

impl std::future::Future for Waiting {
    /// `None` when the version went away with the request in its queue, which happens only when the
    /// process stops.
    type Output = Option<Reply>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = Pin::new(&mut self.answer).poll(cx);
        answer.map(|reply| {
            self.done = true;
            reply.ok()
        })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.done {
            self.owner.runner.queue.remove(self.seq);
        }
    }
}
