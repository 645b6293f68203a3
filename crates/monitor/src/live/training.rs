//! Training data is read beside everything else: it may take long, and only who needs it waits.

use super::ports::{Models, PortError, Trained};
use mainspring_core::{ErrorKind, Tasks, Tenant};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};

/// So long the one who asks waits; most files are read sooner.
const PATIENCE: Duration = Duration::from_secs(1);
/// Versions whose data is read or was read and not fetched, at most.
const MOST: usize = 64;

/// Whose, which model, which version.
type Of = (Tenant, String, String);
type Found = Result<Option<Trained>, PortError>;

/// What is being read.
pub(super) struct Training {
    models: Arc<dyn Models>,
    tasks: Tasks,
    /// One after the other: each takes a core.
    turn: Arc<Semaphore>,
    reading: Mutex<BTreeMap<Of, oneshot::Receiver<Found>>>,
}

impl Training {
    pub fn new(models: Arc<dyn Models>, tasks: Tasks) -> Self {
        Self { models, tasks, turn: Arc::new(Semaphore::new(1)), reading: Mutex::default() }
    }

    /// What a version was trained on, if that is known within moments.
    ///
    /// # Errors
    /// [`PortError`] when it cannot be read, and while it is being read: ask again.
    pub async fn of(&self, tenant: &Tenant, (model, version): (&str, &str)) -> Found {
        let of = (tenant.clone(), model.to_owned(), version.to_owned());
        let known = self.reading.lock().remove(&of);
        let mut reading = known.unwrap_or_else(|| self.begin(of.clone()));
        match tokio::time::timeout(PATIENCE, &mut reading).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) => {
                let message = format!("reading what {model} version {version} was trained on broke off");
                Err(PortError { kind: ErrorKind::Unavailable, message })
            }
            Err(_) => {
                let mut all = self.reading.lock();
                if all.len() >= MOST {
                    // Nobody asks for them any more.
                    all.pop_first();
                }
                all.insert(of, reading);
                let message = format!("what {model} version {version} was trained on is being read");
                Err(PortError { kind: ErrorKind::Unavailable, message })
            }
        }
    }

    fn begin(&self, (tenant, model, version): Of) -> oneshot::Receiver<Found> {
        let (done, reading) = oneshot::channel();
        let (models, turn) = (Arc::clone(&self.models), Arc::clone(&self.turn));
        self.tasks.spawn("training data", async move {
            let Ok(_turn) = turn.acquire().await else { return };
            // Who asked may have gone: then nothing is left to do.
            let _nobody_waits = done.send(models.training(&tenant, &model, &version).await);
        });
        reading
    }
}
