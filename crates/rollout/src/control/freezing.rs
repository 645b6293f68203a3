//! Versions that a rollout rolled back are frozen, where its file says so: at least once.

use super::feed::Trouble;
use crate::machine::Freeze;
use crate::ports::Declarations;
use mainspring_core::{EventId, Tenant, Timestamp};
use mainspring_store::sql::OutboxEvent;
use std::collections::BTreeMap;

/// What could not be frozen yet, and when it is tried again.
#[derive(Debug, Default)]
pub(super) struct Freezing {
    troubles: BTreeMap<EventId, Trouble>,
}

impl Freezing {
    /// Freezes what can be; answers with the events that are done.
    pub async fn relay(
        &mut self,
        declarations: &dyn Declarations,
        events: Vec<OutboxEvent>,
        now: Timestamp,
    ) -> Vec<EventId> {
        let mut done = Vec::new();
        for event in events {
            if self.troubles.get(&event.id).is_some_and(|trouble| !trouble.over(now)) {
                continue;
            }
            match freeze(declarations, &event).await {
                Ok(()) => {
                    self.troubles.remove(&event.id);
                    done.push(event.id);
                }
                Err(error) => {
                    if self.troubles.entry(event.id).or_default().comes(now) {
                        tracing::warn!(error, "a version that was rolled back is not frozen yet; it is tried again");
                    }
                }
            }
        }
        done
    }
}

/// Freezes what one event names. What cannot be read can be frozen by nobody: it is done.
async fn freeze(declarations: &dyn Declarations, event: &OutboxEvent) -> Result<(), String> {
    let tenant = event.body.get("tenant").and_then(|t| Tenant::new(t.as_str()?).ok());
    let all = event.body.get("freeze").and_then(|f| serde_json::from_value::<Vec<Freeze>>(f.clone()).ok());
    let (Some(tenant), Some(all)) = (tenant, all) else { return Ok(()) };
    for freeze in &all {
        declarations.freeze(&tenant, freeze).await.map_err(|e| e.to_string())?;
    }
    Ok(())
}
