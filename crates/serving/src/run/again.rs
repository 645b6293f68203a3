//! What becomes of the requests of a call that failed for one of them.

use super::queue::{Batch, Item, Reply};
use crate::stats::ClosedBy;
use mainspring_engine::{Counted, EngineError};
use std::time::Instant;

/// Workers that one batch may cost before what is left of it fails: enough to find one request among a hundred,
const LOST: usize = 10;
/// and so many of them without an answer in between.
const LOST_IN_A_ROW: usize = 4;

/// How the requests of a call that failed are run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// Each by itself: another call costs no more than its time.
    Alone,
    /// In halves: each call that fails costs a worker, or the longest time that a call may take.
    Halves,
}

impl Again {
    /// `None` when the call did not fail, or would fail whatever is in it.
    pub fn after(result: &Result<Counted, EngineError>) -> Option<Self> {
        match result {
            Err(EngineError::Run { .. } | EngineError::WrongOutput { .. }) => Some(Self::Alone),
            Err(EngineError::Died { .. } | EngineError::TooSlow { .. }) => Some(Self::Halves),
            _ => None,
        }
    }

    /// The batches to try next.
    pub fn split(self, items: Vec<Item>) -> Vec<Batch> {
        let size = match self {
            Self::Alone => 1,
            Self::Halves => items.len().div_ceil(2),
        };
        let now = Instant::now();
        let mut batches: Vec<Batch> = Vec::new();
        // Whoever went away meanwhile needs no answer.
        for item in items.into_iter().filter(|item| !item.reply.is_closed()) {
            if item.work.deadline.is_some_and(|deadline| deadline <= now) {
                let _ = item.reply.send(Reply::Expired);
                continue;
            }
            match batches.last_mut().filter(|batch| batch.items.len() < size) {
                Some(batch) => batch.items.push(item),
                None => batches.push(Batch { items: vec![item], closed: ClosedBy::Alone }),
            }
        }
        batches
    }
}

/// Calls of one batch that cost a worker each.
#[derive(Debug, Default)]
pub(super) struct Lost {
    all: usize,
    /// Without an answer in between.
    row: usize,
}

impl Lost {
    /// Counts a call, and says whether what is left of the batch is not to be tried any more. A model that ends whatever it
    /// is asked would else be started over and over; and an engine that gives up after some deaths in a row, to protect
    /// the machine, would be made to by one batch with some requests that are at fault.
    pub fn counts_out(&mut self, call: Option<Again>) -> bool {
        if call == Some(Again::Halves) {
            self.all += 1;
            self.row += 1;
        } else {
            self.row = 0;
        }
        self.row >= LOST_IN_A_ROW || self.all >= LOST
    }

    /// Whether a call and both of its halves ended without an answer. One more such call is all that there may be, and it
    /// is of one request, which is the least likely to be at fault.
    pub fn both_halves(&self) -> bool {
        self.row == LOST_IN_A_ROW - 1
    }
}
