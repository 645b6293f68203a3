//! One thread that wakes queues whose oldest request has waited for long enough.

use super::Runner;
use crossbeam_channel::{RecvTimeoutError, Sender, unbounded};
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Weak;
use std::time::{Duration, Instant};

struct Alarm {
    at: Instant,
    wakes: Weak<Runner>,
}

impl PartialEq for Alarm {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Alarm {}

impl PartialOrd for Alarm {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Alarm {
    /// The earliest first, in a heap that gives the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.cmp(&self.at)
    }
}

/// Sets alarms. The thread ends when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Timer {
    alarms: Sender<Alarm>,
}

impl Timer {
    pub fn start() -> Self {
        let (alarms, set) = unbounded::<Alarm>();
        let thread = std::thread::Builder::new().name("batch-timer".into()).spawn(move || {
            let mut heap = BinaryHeap::<Alarm>::new();
            loop {
                let wait =
                    heap.peek().map_or(Duration::from_secs(3600), |a| a.at.saturating_duration_since(Instant::now()));
                match set.recv_timeout(wait) {
                    Ok(alarm) => heap.push(alarm),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
                let now = Instant::now();
                while heap.peek().is_some_and(|a| a.at <= now) {
                    if let Some(loaded) = heap.pop().and_then(|a| a.wakes.upgrade()) {
                        loaded.wake();
                    }
                }
            }
        });
        if let Err(error) = thread {
            tracing::error!(%error, "cannot start the batch timer; batches close on size and idle instances only");
        }
        Self { alarms }
    }

    pub(super) fn set(&self, at: Instant, wakes: Weak<Runner>) {
        let _ = self.alarms.send(Alarm { at, wakes });
    }
}
