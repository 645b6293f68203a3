//! Frees the artifacts of what was deleted long enough ago.

use crate::config::Settings;
use mainspring_core::{Ctx, Gate, Principal};
use mainspring_registry::Registry;
use mainspring_registry::actions::Purge;
use std::sync::Arc;
use std::time::Duration;

const EVERY: Duration = Duration::from_hours(1);

/// Purges once an hour, when the settings say how long deleted things are kept.
pub fn start(settings: &Settings, registry: &Registry, gate: &Gate, ctx: &Ctx) {
    let Some(keep) = settings.artifacts_keep else { return };
    let (registry, gate) = (registry.clone(), gate.clone());
    drop(ctx.tasks.spawn("purge deleted runs", async move {
        loop {
            tokio::time::sleep(EVERY).await;
            let auth = match gate.authorize(&Arc::new(Principal::system()), Purge::any()) {
                Ok(auth) => auth,
                Err(error) => {
                    tracing::error!(%error, "the purge is not allowed");
                    return;
                }
            };
            match registry.purge(&auth, keep).await {
                Ok(report) => tracing::info!(?report, "purged what was deleted"),
                Err(error) => tracing::warn!(%error, "cannot purge what was deleted; trying again in an hour"),
            }
        }
    }));
}
