//! Deployments are told to declare what a rollout decided: at least once, and each in the order of the decisions.

use super::feed::Trouble;
use crate::machine::Follow;
use crate::ports::Declarations;
use mainspring_core::{EventId, Tenant, Timestamp};
use mainspring_store::sql::OutboxEvent;
use std::collections::{BTreeMap, BTreeSet};

/// A deployment.
type Place = (Tenant, String);

/// What keeps deployments from following.
#[derive(Debug, Default)]
pub(super) struct Following {
    /// Those that could not be told, and when they are told again.
    troubles: BTreeMap<Place, Trouble>,
    /// Events that wait for their deployment, of those that were taken last.
    pub waiting: u32,
}

impl Following {
    /// Tells what can be told, the oldest first; answers with the events that are done. A deployment that does not follow
    /// holds up what comes after for itself, and nobody else.
    pub async fn relay(
        &mut self,
        declarations: &dyn Declarations,
        events: Vec<OutboxEvent>,
        now: Timestamp,
    ) -> Vec<EventId> {
        let mut done = Vec::new();
        let mut held: BTreeSet<Place> = BTreeSet::new();
        self.waiting = 0;
        for event in events {
            // What cannot be read can be told to nobody: it is done.
            if let Some((place, follow)) = followed(&event)
                && (held.contains(&place) || !self.tell(declarations, (&place, &follow), now).await)
            {
                held.insert(place);
                self.waiting += 1;
                continue;
            }
            done.push(event.id);
        }
        self.troubles.retain(|place, _| held.contains(place));
        done
    }

    /// Whether a deployment was told.
    async fn tell(
        &mut self,
        declarations: &dyn Declarations,
        (place, follow): (&Place, &Follow),
        now: Timestamp,
    ) -> bool {
        if self.troubles.get(place).is_some_and(|trouble| !trouble.over(now)) {
            return false;
        }
        let (tenant, deployment) = place;
        match declarations.follow(tenant, follow).await {
            Ok(()) if self.troubles.remove(place).is_some() => {
                tracing::info!(%tenant, deployment, "the deployment follows its rollout");
                true
            }
            Ok(()) => true,
            Err(error) => {
                if self.troubles.entry(place.clone()).or_default().comes(now) {
                    tracing::warn!(%tenant, deployment, %error, "the deployment does not follow its rollout yet; it is tried again");
                }
                false
            }
        }
    }
}

/// Who is told what.
fn followed(event: &OutboxEvent) -> Option<(Place, Follow)> {
    let tenant = Tenant::new(event.body.get("tenant")?.as_str()?).ok()?;
    let follow: Follow = serde_json::from_value(event.body.get("follow")?.clone()).ok()?;
    Some(((tenant, follow.deployment.clone()), follow))
}
