//! Declared things in the database.

mod diff;
mod follow;
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
    /// The number of changes that this process knows of.
    changed: Arc<watch::Sender<u64>>,
    /// One comparison with the database at a time: an older one must not end after a newer one.
    comparing: Arc<tokio::sync::Mutex<()>>,
}

impl Resources {
    /// Declared things of these kinds, kept in `db`.
    pub fn new(db: Db, kinds: Kinds, ctx: Ctx) -> Self {
        Self { db, kinds: Arc::new(kinds), ctx, changed: Arc::new(watch::Sender::new(0)), comparing: Arc::default() }
    }

    /// The registered kinds.
    pub fn kinds(&self) -> &Kinds {
        &self.kinds
    }
}
