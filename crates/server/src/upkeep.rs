//! What is done behind the requests: metric points merged, deleted things purged, the cache kept small.
//! (`health` looks for other replicas' changes: the same query tells whether the database answers.)

use crate::config::Settings;
use mainspring_artifact::Artifacts;
use mainspring_core::{Ctx, Gate, Principal};
use mainspring_registry::Registry;
use mainspring_registry::actions::Purge;
use std::sync::Arc;
use std::time::Duration;

/// How often points that were logged one by one are merged.
const COMPACT: Duration = Duration::from_secs(10);
/// How often deleted things are purged, and how long after the start for the first time.
const PURGE: Duration = Duration::from_hours(1);
const FIRST_PURGE: Duration = Duration::from_mins(1);
/// How often the cache is looked at, and how long after its last use a copy may still be being read.
const EVICT: Duration = Duration::from_mins(1);
const IN_USE: Duration = Duration::from_mins(5);

/// Starts the tasks; they end at shutdown.
pub fn start(settings: &Settings, registry: &Registry, gate: &Gate, ctx: &Ctx) {
    compact(registry.clone(), ctx);
    if let Some(keep) = settings.artifacts_keep {
        purge(registry.clone(), gate.clone(), keep, ctx);
    }
}

/// Keeps the local copies of a bucket's files within `max_bytes`, until shutdown.
pub fn evict(artifacts: Artifacts, max_bytes: u64, ctx: &Ctx) {
    drop(ctx.tasks.spawn("keep the cache small", async move {
        loop {
            tokio::time::sleep(EVICT).await;
            match artifacts.evict(max_bytes, IN_USE).await {
                Ok(0) => {}
                Ok(bytes) => tracing::info!(bytes, "removed local copies of files in the bucket"),
                Err(error) => tracing::warn!(%error, "cannot make the cache of files in the bucket smaller"),
            }
        }
    }));
}

fn compact(registry: Registry, ctx: &Ctx) {
    drop(ctx.tasks.spawn("merge metric points", async move {
        loop {
            tokio::time::sleep(COMPACT).await;
            match registry.compact().await {
                Ok(0) => {}
                Ok(metrics) => tracing::debug!(metrics, "merged metric points"),
                Err(error) => tracing::warn!(%error, "cannot merge metric points; trying again"),
            }
        }
    }));
}

fn purge(registry: Registry, gate: Gate, keep: Duration, ctx: &Ctx) {
    drop(ctx.tasks.spawn("purge deleted things", async move {
        tokio::time::sleep(FIRST_PURGE).await;
        loop {
            if let Err(error) = purge_all(&registry, &gate, keep).await {
                tracing::warn!(error, "cannot purge what was deleted; trying again in an hour");
            }
            tokio::time::sleep(PURGE).await;
        }
    }));
}

async fn purge_all(registry: &Registry, gate: &Gate, keep: Duration) -> Result<(), String> {
    for tenant in registry.tenants().await.map_err(|e| e.to_string())? {
        let who = Arc::new(Principal { tenant: tenant.clone(), ..Principal::system() });
        let auth = gate.authorize(&who, Purge::any()).map_err(|e| e.to_string())?;
        let report = registry.purge(&auth, keep).await.map_err(|e| e.to_string())?;
        tracing::info!(
            %tenant,
            runs = report.runs.len(),
            models = report.logged_models.len(),
            experiments = report.experiments.len(),
            bytes = report.bytes,
            kept = report.kept.len(),
            "purged what was deleted"
        );
    }
    Ok(())
}
