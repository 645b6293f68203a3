//! Declared things in the database.

mod diff;
mod read;
mod types;
mod write;

pub use types::{Applied, Change, Diff, FieldChange, Generation, Page, Resource};

use crate::kind::Kinds;
use mainspring_core::Ctx;
use mainspring_store::Db;
use std::sync::Arc;
use tokio::sync::watch;

/// Declared things. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Resources {
    db: Db,
    kinds: Arc<Kinds>,
    ctx: Ctx,
    changed: Arc<watch::Sender<u64>>,
}

impl Resources {
    /// Declared things of these kinds, kept in `db`.
    pub fn new(db: Db, kinds: Kinds, ctx: Ctx) -> Self {
        Self { db, kinds: Arc::new(kinds), ctx, changed: Arc::new(watch::Sender::new(0)) }
    }

    /// The registered kinds.
    pub fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    /// Bumps whenever this process, or by [`Resources::poll`] another one, changed something.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}
