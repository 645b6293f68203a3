//! What a domain needs from the world: time, ids and tracked tasks.

use crate::clock::{Clock, SystemClock, Timestamp};
use crate::id::{EventId, IdGen, SystemIds};
use crate::tasks::Tasks;
use std::sync::Arc;

/// Time, ids and tasks, handed to every domain. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ctx {
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Ids and randomness.
    pub ids: Arc<dyn IdGen>,
    /// Background tasks, cancelled and awaited at shutdown.
    pub tasks: Tasks,
}

impl Ctx {
    /// The real clock and real ids.
    pub fn system() -> Self {
        Self { clock: Arc::new(SystemClock), ids: Arc::new(SystemIds), tasks: Tasks::new() }
    }

    /// Now, by this context's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A new event id.
    pub fn event_id(&self) -> EventId {
        self.ids.event(self.clock.now())
    }
}
