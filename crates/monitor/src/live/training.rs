//! Training data is read beside everything else: it may take long, and only who needs it waits.

use super::ports::{Models, PortError, Trained};
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use mainspring_core::{ErrorKind, Tasks, Tenant};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};

/// So long a monitor waits, which holds up others; most files are read sooner.
pub(super) const MONITOR_WAITS: Duration = Duration::from_secs(1);
/// So long somebody waits who asked for a profile, and holds up nobody.
pub(super) const READER_WAITS: Duration = Duration::from_secs(20);
/// Versions whose data is read or was read and not fetched, at most.
const MOST: usize = 64;

/// Whose, which model, which version.
type Of = (Tenant, String, String);
type Found = Result<Option<Trained>, PortError>;
type Reading = Shared<BoxFuture<'static, Found>>;

/// What is being read.
pub(super) struct Training {
    models: Arc<dyn Models>,
    tasks: Tasks,
    /// One after the other: each takes a core.
    turn: Arc<Semaphore>,
    /// Whoever asks for what is being read waits for the same reading.
    reading: Mutex<BTreeMap<Of, Reading>>,
}

impl Training {
    pub fn new(models: Arc<dyn Models>, tasks: Tasks) -> Self {
        Self { models, tasks, turn: Arc::new(Semaphore::new(1)), reading: Mutex::default() }
    }

    /// What a version was trained on, if that is known within `patience`.
    ///
    /// # Errors
    /// [`PortError`] when it cannot be read, and while it is being read: ask again.
    pub async fn of(&self, tenant: &Tenant, (model, version): (&str, &str), patience: Duration) -> Found {
        let of = (tenant.clone(), model.to_owned(), version.to_owned());
        let reading = self.reading(&of);
        if let Ok(found) = tokio::time::timeout(patience, reading).await {
            self.reading.lock().remove(&of);
            return found;
        }
        let message = format!("what {model} version {version} was trained on is being read");
        Err(PortError { kind: ErrorKind::Unavailable, message })
    }

    /// The reading that goes on, or a new one.
    fn reading(&self, of: &Of) -> Reading {
        let mut all = self.reading.lock();
        if let Some(reading) = all.get(of) {
            return reading.clone();
        }
        if all.len() >= MOST {
            // Nobody asks for them any more.
            all.pop_first();
        }
        let reading = self.begin(of.clone());
        all.insert(of.clone(), reading.clone());
        reading
    }

    fn begin(&self, (tenant, model, version): Of) -> Reading {
        let (done, reading) = oneshot::channel();
        let (models, turn) = (Arc::clone(&self.models), Arc::clone(&self.turn));
        let message = format!("reading what {model} version {version} was trained on broke off");
        self.tasks.spawn("training data", async move {
            let Ok(_turn) = turn.acquire().await else { return };
            // Who asked may have gone: then nothing is left to do.
            let _nobody_waits = done.send(models.training(&tenant, &model, &version).await);
        });
        let broke_off = move |_| Err(PortError { kind: ErrorKind::Unavailable, message });
        reading.map(|found: Result<Found, _>| found.unwrap_or_else(broke_off)).boxed().shared()
    }
}

#[cfg(test)]
mod tests;
