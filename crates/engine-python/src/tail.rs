//! What a worker writes: each line an event of the log with the predictions that it belongs to, the last
//! ones kept.
//!
//! A worker writes `\0B` and the number of its call before the first line that Python code writes in it, and
//! `\0E` after the last one, so that such a line is joined to its call however late it is read. What native code
//! writes belongs to the call that runs when it is read.

use mainspring_core::EventId;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

const LINES: usize = 20;
/// A longer line is cut into several.
const WIDTH: usize = 4096;
/// Calls whose lines may still be on their way.
const CALLS: usize = 64;
/// Predictions that a line names.
const IDS: usize = 64;

/// The last lines that a worker wrote.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    held: Mutex<Held>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Held {
    lines: VecDeque<String>,
    /// The last calls and their predictions.
    calls: VecDeque<(u64, Arc<[EventId]>)>,
    /// Whether the newest of them runs.
    running: bool,
    ended: bool,
}

/// Takes lines and marks out of what is read.
#[derive(Default)]
struct Reader {
    line: Vec<u8>,
    /// In a call that the worker has marked.
    marked: Option<u64>,
}

impl Reader {
    fn byte(&mut self, byte: u8, take: &mut dyn FnMut(&[u8], Option<u64>)) {
        match byte {
            b'\n' if self.line.first() == Some(&0) => self.mark(),
            b'\n' => self.flush(take),
            // A mark begins a line of its own.
            0 => {
                self.flush(take);
                self.line.push(0);
            }
            _ => {
                self.line.push(byte);
                if self.line.len() >= WIDTH {
                    self.flush(take);
                }
            }
        }
    }

    fn mark(&mut self) {
        let number = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse().ok();
        self.marked = match self.line.as_slice() {
            [0, b'B', digits @ ..] => number(digits),
            _ => None,
        };
        self.line.clear();
    }

    fn flush(&mut self, take: &mut dyn FnMut(&[u8], Option<u64>)) {
        let text = self.line.strip_prefix(&[0]).unwrap_or(&self.line);
        if !text.is_empty() {
            take(text, self.marked);
        }
        self.line.clear();
    }
}

impl Tail {
    /// Reads `from` to its end on a thread of its own, then calls `ended`.
    pub fn follow(
        mut from: impl Read + Send + 'static,
        name: Arc<str>,
        pid: u32,
        ended: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<Arc<Self>> {
        let tail = Arc::new(Self::default());
        let mine = Arc::clone(&tail);
        let read = move || {
            let mut reader = Reader::default();
            let mut chunk = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut chunk) {
                for byte in &chunk[..count] {
                    reader.byte(*byte, &mut |line, call| mine.take(&name, pid, line, call));
                }
            }
            reader.flush(&mut |line, call| mine.take(&name, pid, line, call));
            mine.held.lock().ended = true;
            mine.moved.notify_all();
            ended();
        };
        std::thread::Builder::new().name("worker-log".into()).spawn(read)?;
        Ok(tail)
    }

    /// The call with this number begins.
    pub fn begin(&self, call: u64, ids: &[EventId]) {
        let mut held = self.held.lock();
        if held.calls.len() == CALLS {
            held.calls.pop_front();
        }
        held.calls.push_back((call, ids.into()));
        held.running = true;
    }

    /// It is over.
    pub fn end(&self) {
        self.held.lock().running = false;
    }

    fn take(&self, name: &str, pid: u32, line: &[u8], call: Option<u64>) {
        let line = String::from_utf8_lossy(line).trim_end().to_owned();
        let mut held = self.held.lock();
        let ids = match call {
            Some(call) => held.calls.iter().find(|(c, _)| *c == call).map(|(_, ids)| Arc::clone(ids)),
            None if held.running => held.calls.back().map(|(_, ids)| Arc::clone(ids)),
            None => None,
        };
        let ids = ids.unwrap_or_default();
        let shown = ids.iter().take(IDS).map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let predictions = (!ids.is_empty()).then_some(shown);
        let further = ids.len().checked_sub(IDS).filter(|n| *n > 0);
        tracing::info!(target: "mainspring_model", deployment = name, pid, predictions, further, "{line}");
        if held.lines.len() == LINES {
            held.lines.pop_front();
        }
        held.lines.push_back(line);
    }

    /// The last lines, once everything that a worker which has ended wrote is read.
    pub fn last(&self, wait: Duration) -> Vec<String> {
        let until = Instant::now() + wait;
        let mut held = self.held.lock();
        while !held.ended && !self.moved.wait_until(&mut held, until).timed_out() {}
        held.lines.iter().cloned().collect()
    }
}
