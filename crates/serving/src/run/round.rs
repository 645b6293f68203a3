//! Requests that one thread finds ready in the same turn of its loop, in one call.
//!
//! A busy thread that serves many connections finds several requests at once. The first of them lets the
//! others come to the same place before it calls the model for all: it goes to the end of the thread's list of
//! what is ready, and waits for nothing that is not there yet, so that no request is delayed for another that
//! may never come. A hundred trees take a third of the time for four rows in a call that they take in four.

use super::queue::{Work, together};
use super::{Loaded, Ran};
use mainspring_core::tensor::NamedTensor;
use mainspring_engine::EngineError;
use parking_lot::Mutex;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;

/// Rounds without company after which a thread no longer looks for it.
const LONELY: u32 = 4;
/// How many requests it then answers before it looks again.
const PROBE: u32 = 64;

thread_local! {
    static HERE: RefCell<Here> = const { RefCell::new(Here { open: Vec::new(), alone: 0 }) };
}

/// What a thread has open.
struct Here {
    /// One for each version that has a round just now, and some that ended on another thread.
    open: Vec<Arc<Round>>,
    /// Rounds without company one after the other, and after [`LONELY`] of them requests that looked for none.
    alone: u32,
}

impl Here {
    fn looks(&mut self) -> bool {
        if self.alone < LONELY {
            return true;
        }
        self.alone += 1;
        let again = self.alone >= LONELY + PROBE;
        if again {
            self.alone = LONELY - 1;
        }
        again
    }
}

/// Requests for one model that wait for the first of them.
struct Round {
    /// Where the model is. Compared only; the first request keeps it there.
    runner: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// `None` when the round is over.
    first: Option<Work>,
    guests: Vec<Guest>,
    units: usize,
    rows: usize,
}

/// A request that came to another one's round.
pub(super) struct Guest {
    pub work: Work,
    pub enqueued: Instant,
    /// Gets the work back when the round did not come to its call.
    pub reply: oneshot::Sender<Result<Result<Ran, EngineError>, Work>>,
}

/// What a request that may run on this thread is to do.
pub(super) enum Entry {
    /// Run at once.
    Alone(Work),
    /// Let others come, then run for all.
    First(Lead),
    /// Wait for the first.
    Joined(oneshot::Receiver<Result<Result<Ran, EngineError>, Work>>),
}

/// Enters the thread's round of the model, or opens one. `units` is the request's size.
pub(super) fn enter(owner: &Loaded, work: Work, units: usize) -> Entry {
    let runner = std::ptr::from_ref(&*owner.runner).addr();
    HERE.with_borrow_mut(|here| {
        here.open.retain(|round| round.state.lock().first.is_some());
        if let Some(round) = here.open.iter().find(|round| round.runner == runner) {
            return round.join(owner, work, units);
        }
        if !here.looks() {
            return Entry::Alone(work);
        }
        let rows = work.rows;
        let state = State { first: Some(work), guests: Vec::new(), units, rows };
        let round = Arc::new(Round { runner, state: Mutex::new(state) });
        here.open.push(Arc::clone(&round));
        Entry::First(Lead { round, since: Instant::now() })
    })
}

impl Round {
    fn join(&self, owner: &Loaded, work: Work, units: usize) -> Entry {
        let mut state = self.state.lock();
        let fits = state.units + units <= owner.facts.execution.inline_rows
            && state.rows + work.rows <= owner.facts.rules.max_rows
            && state.first.as_ref().is_some_and(|first| together(first, &work));
        if !fits {
            return Entry::Alone(work);
        }
        state.units += units;
        state.rows += work.rows;
        let (reply, answer) = oneshot::channel();
        state.guests.push(Guest { work, enqueued: Instant::now(), reply });
        Entry::Joined(answer)
    }
}

/// The first request of a round. Dropped before its call, it sends the others away.
pub(super) struct Lead {
    round: Arc<Round>,
    since: Instant,
}

/// What came together.
pub(super) struct Party {
    pub first: Work,
    pub since: Instant,
    pub guests: Vec<Guest>,
}

impl Lead {
    /// Lets what is ready on this thread come, and ends the round. `None` is not possible.
    pub async fn gather(self) -> Option<Party> {
        tokio::task::yield_now().await;
        let State { first, mut guests, .. } = self.end();
        // Who went away meanwhile needs no answer.
        guests.retain(|guest| !guest.reply.is_closed());
        HERE.with_borrow_mut(|here| here.alone = if guests.is_empty() { here.alone + 1 } else { 0 });
        Some(Party { first: first?, since: self.since, guests })
    }

    fn end(&self) -> State {
        HERE.with_borrow_mut(|here| here.open.retain(|round| !Arc::ptr_eq(round, &self.round)));
        std::mem::take(&mut *self.round.state.lock())
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        send_away(self.end().guests);
    }
}

/// Gives each guest its work back.
pub(super) fn send_away(guests: Vec<Guest>) {
    for guest in guests {
        let _ = guest.reply.send(Err(guest.work));
    }
}

impl Party {
    pub fn rows(&self) -> usize {
        self.first.rows + self.guests.iter().map(|g| g.work.rows).sum::<usize>()
    }

    /// The inputs of each, those of the first on top.
    pub fn inputs(&self) -> Vec<&[NamedTensor]> {
        std::iter::once(&self.first).chain(self.guests.iter().map(|g| &g.work)).map(|work| &*work.inputs).collect()
    }
}
