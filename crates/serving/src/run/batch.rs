//! The outputs of a call for several requests, back to each.

use super::Ran;
use super::queue::{Item, Reply};
use crate::stats::nanos;
use mainspring_core::Tokens;
use mainspring_core::tensor::NamedTensor;
use mainspring_engine::{Counted, EngineError};
use std::ops::Add;
use std::sync::Arc;
use std::time::Instant;

/// When a call started, how long it took and how many rows it had.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timed {
    pub started: Instant,
    pub engine_ns: u64,
    pub rows: usize,
}

/// The outputs of a call, from which each request in it gets its own rows. They share the outputs' memory.
pub(super) struct Portions {
    outputs: Result<Vec<NamedTensor>, EngineError>,
    /// Tokens of each row, where the model counts them.
    tokens: Vec<Tokens>,
    /// One request has them all.
    whole: bool,
    /// The next request's first row.
    next: usize,
    timed: Timed,
}

impl Portions {
    /// Of a call for so many requests, whose outputs have a row for each of its rows unless it was for one.
    pub fn new(requests: usize, result: Result<Counted, EngineError>, timed: Timed) -> Self {
        let whole = requests == 1;
        let (outputs, tokens) = match result {
            Ok(Counted { outputs, tokens }) => (Ok(outputs), tokens),
            Err(error) => (Err(error), Vec::new()),
        };
        Self { outputs, tokens, whole, next: 0, timed }
    }

    /// Those of the next request, which has so many rows and has waited since then.
    pub fn cut(&mut self, rows: usize, since: Instant) -> Result<Ran, EngineError> {
        let (start, end) = (self.next, self.next + rows);
        self.next = end;
        let mine = match &mut self.outputs {
            Err(error) => Err(error.clone()),
            Ok(outputs) if self.whole => Ok(std::mem::take(outputs)),
            Ok(outputs) => Ok(outputs
                .iter()
                .map(|o| NamedTensor { name: Arc::clone(&o.name), tensor: o.tensor.slice_rows(start, end) })
                .collect()),
        };
        let tokens = self.tokens.get(start..end).unwrap_or_default().iter().copied().reduce(Tokens::add);
        mine.map(|outputs| Ran {
            outputs,
            tokens,
            queue_ns: nanos(self.timed.started.saturating_duration_since(since)),
            engine_ns: self.timed.engine_ns,
            batch_rows: self.timed.rows as u32,
        })
    }
}

/// Gives each request of a batch its own rows.
pub(super) fn hand_out(items: Vec<Item>, result: Result<Counted, EngineError>, timed: Timed) {
    let mut portions = Portions::new(items.len(), result, timed);
    for item in items {
        let ran = portions.cut(item.work.rows, item.enqueued);
        // The caller may have gone meanwhile; then nobody needs the answer.
        let _ = item.reply.send(Reply::Ran(ran));
    }
}

/// Whether outputs have a row for each of the call's, so that each request gets its own.
pub(super) fn row_for_row(outputs: &[NamedTensor], rows: usize) -> Result<(), EngineError> {
    match outputs.iter().find(|o| o.tensor.shape().first() != Some(&rows)) {
        None => Ok(()),
        Some(wrong) => Err(EngineError::WrongOutput {
            output: wrong.name.to_string(),
            declared: if rows == 1 {
                "one row for the row of the call".to_owned()
            } else {
                format!("one row for each of the {rows} rows of the call")
            },
            got: format!("shape {:?}", wrong.tensor.shape()),
        }),
    }
}
