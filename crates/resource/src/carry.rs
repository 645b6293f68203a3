//! Carrying declared things out. The domain that owns a kind stands behind a [`Controller`]; what is
//! kept here is which generation of each thing it was handed, so that an older one never follows a
//! newer one, whichever way it came: from an apply of this process or from the database.

use mainspring_core::{Name, Tenant, Timestamp};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Makes what is declared of one kind so, in this process. Called while an apply waits: no method
/// may block.
pub trait Controller: Send + Sync + 'static {
    /// Begins to make what is declared so.
    ///
    /// # Errors
    /// Why it cannot be; this becomes the thing's status. What ran before may go on.
    fn declare(&self, tenant: &Tenant, name: &Name, declared: Declaration<'_>) -> Result<(), String>;

    /// The thing is no longer declared. What was never taken up is no error.
    fn withdraw(&self, tenant: &Tenant, name: &Name);

    /// What the thing is now: an object with `state`; `None` when nothing runs under the name.
    fn status(&self, tenant: &Tenant, name: &Name) -> Option<Value>;
}

/// What is declared of a thing.
#[derive(Debug, Clone, Copy)]
pub struct Declaration<'a> {
    /// Its spec.
    pub spec: &'a Value,
    /// When it was declared so: before whoever declared it had an answer, and the same in every process.
    pub since: Timestamp,
}

pub(crate) type Thing = (Tenant, Name);

/// The last generation that a controller was handed.
#[derive(Debug)]
struct Taken {
    generation: i64,
    /// Whether it is declared; a deletion has a generation too.
    declared: bool,
    refused: Option<String>,
}

/// A controller, and what it was handed.
pub(crate) struct Carrier {
    controller: Arc<dyn Controller>,
    taken: Mutex<BTreeMap<Thing, Taken>>,
}

impl Carrier {
    pub(crate) fn new(controller: Arc<dyn Controller>) -> Self {
        Self { controller, taken: Mutex::default() }
    }

    /// Hands a generation over, unless it or a newer one was. `declared` is `None` for a deletion. What
    /// was refused is handed over again: the reason may be gone.
    pub(crate) fn take(&self, thing: &Thing, generation: i64, declared: Option<Declaration<'_>>) {
        let mut taken = self.taken.lock();
        let before = taken.get(thing);
        if before.is_some_and(|b| b.generation > generation || (b.generation == generation && b.refused.is_none())) {
            return;
        }
        let (tenant, name) = thing;
        let refused = match declared {
            Some(declared) => self.controller.declare(tenant, name, declared).err(),
            None => {
                if before.is_some_and(|b| b.declared) {
                    self.controller.withdraw(tenant, name);
                }
                None
            }
        };
        if let Some(reason) = &refused {
            tracing::warn!(%tenant, %name, generation, reason, "what is declared cannot be carried out");
        }
        taken.insert(thing.clone(), Taken { generation, declared: declared.is_some(), refused });
    }

    /// Everything that is declared as far as this process knows, with its generation.
    pub(crate) fn taken(&self) -> Vec<(Thing, i64)> {
        self.taken.lock().iter().filter(|(_, t)| t.declared).map(|(thing, t)| (thing.clone(), t.generation)).collect()
    }

    /// The database no longer has `thing`, of which this process knew only `generation`. The number
    /// is kept, so that a generation which comes late is not taken for a new one.
    pub(crate) fn forget(&self, thing: &Thing, generation: i64) {
        let mut taken = self.taken.lock();
        let Some(last) = taken.get_mut(thing).filter(|t| t.generation == generation) else { return };
        last.refused = None;
        if std::mem::take(&mut last.declared) {
            self.controller.withdraw(&thing.0, &thing.1);
        }
    }

    /// What `thing` is, when `generation` is the one that was handed over.
    pub(crate) fn status(&self, thing: &Thing, generation: i64) -> Option<Value> {
        let refused = {
            let taken = self.taken.lock();
            taken.get(thing).filter(|t| t.generation == generation)?.refused.clone()
        };
        match refused {
            Some(reason) => Some(json!({"state": "FAILED", "reason": reason, "settled": true})),
            None => self.controller.status(&thing.0, &thing.1),
        }
    }
}
