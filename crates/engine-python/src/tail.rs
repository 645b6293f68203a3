//! What a worker writes: each line an event of the log, the last ones kept.

use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

const LINES: usize = 20;
/// A longer line is cut into several.
const WIDTH: usize = 4096;

/// The last lines that a worker wrote.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    held: Mutex<Held>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Held {
    lines: VecDeque<String>,
    ended: bool,
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
            let mut line = Vec::new();
            let mut chunk = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut chunk) {
                for byte in &chunk[..count] {
                    if *byte != b'\n' {
                        line.push(*byte);
                    }
                    if (*byte == b'\n' && !line.is_empty()) || line.len() >= WIDTH {
                        mine.take(&name, pid, &line);
                        line.clear();
                    }
                }
            }
            if !line.is_empty() {
                mine.take(&name, pid, &line);
            }
            mine.held.lock().ended = true;
            mine.moved.notify_all();
            ended();
        };
        std::thread::Builder::new().name("worker-log".into()).spawn(read)?;
        Ok(tail)
    }

    fn take(&self, name: &str, pid: u32, line: &[u8]) {
        let line = String::from_utf8_lossy(line).trim_end().to_owned();
        tracing::info!(target: "mainspring_model", deployment = name, pid, "{line}");
        let mut held = self.held.lock();
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
