//! What the journal gets, kept for one who follows it until they ask.

use mainspring_core::Tasks;
use mainspring_journal::{Journal, MicroBatch};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;

/// How often it is taken from the journal, which keeps all of everybody's for 25 seconds.
const EVERY: Duration = Duration::from_millis(500);
/// Bytes that may wait; of more it is known only that it was there.
const MOST: usize = 256 << 20;

/// Listens for one who follows, however long they are busy: a controller reads the past of many things before it asks again
/// for what is new of one, and on a slow machine that is longer than the journal keeps what comes.
pub(crate) struct Listener<T> {
    heard: Arc<Mutex<Heard<T>>>,
    _task: AbortOnDropHandle<()>,
}

/// Adds what is wanted of a batch, and answers with its bytes.
type Pick<T> = Box<dyn FnMut(&MicroBatch, &mut Vec<T>) -> usize + Send>;

struct Heard<T> {
    live: Receiver<Arc<MicroBatch>>,
    pick: Pick<T>,
    kept: Vec<T>,
    bytes: usize,
    lost: Option<String>,
}

impl<T: Send + 'static> Listener<T> {
    /// Hears all that comes from now on, and keeps what `pick` adds.
    pub fn new(
        journal: &Journal,
        tasks: &Tasks,
        pick: impl FnMut(&MicroBatch, &mut Vec<T>) -> usize + Send + 'static,
    ) -> Self {
        let heard = Heard { live: journal.subscribe(), pick: Box::new(pick), kept: Vec::new(), bytes: 0, lost: None };
        let heard = Arc::new(Mutex::new(heard));
        let listening = Arc::clone(&heard);
        let task = tasks.spawn("listen to the journal", async move {
            let mut every = interval(EVERY);
            every.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                every.tick().await;
                listening.lock().hear();
            }
        });
        Self { heard, _task: AbortOnDropHandle::new(task) }
    }

    /// Everything that has come since it was last asked; or why that is not all, in words, whenever it is asked again.
    pub fn take(&self) -> Result<Vec<T>, String> {
        let mut heard = self.heard.lock();
        heard.hear();
        match &heard.lost {
            Some(lost) => Err(lost.clone()),
            None => {
                heard.bytes = 0;
                Ok(std::mem::take(&mut heard.kept))
            }
        }
    }
}

impl<T> Heard<T> {
    fn hear(&mut self) {
        while self.lost.is_none() {
            match self.live.try_recv() {
                Ok(batch) => self.bytes += (self.pick)(&batch, &mut self.kept),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Lagged(missed)) => {
                    self.lost = Some(format!("{missed} batches of the journal went by; it is read again"));
                }
                Err(TryRecvError::Closed) => self.lost = Some("the journal is closed".into()),
            }
            if self.bytes > MOST {
                self.lost = Some(format!("over {} MB of the journal wait; it is read again", MOST >> 20));
            }
        }
        self.kept = Vec::new();
    }
}
