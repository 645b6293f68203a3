//! alert freezes the version that it is about; the registry has it.

use crate::deployments::freeze;
use futures::future::BoxFuture;
use mainspring_alert::render::Freeze;
use mainspring_alert::{Freezer, Refused};
use mainspring_core::Gate;
use mainspring_registry::Registry;

/// Freezes versions for the server itself.
#[derive(Debug, Clone)]
pub struct Brake {
    /// Has the versions.
    pub registry: Registry,
    /// Decides who may do what.
    pub gate: Gate,
}

impl Freezer for Brake {
    fn freeze(&self, what: Freeze) -> BoxFuture<'_, Result<(), Refused>> {
        Box::pin(async move {
            let Freeze { tenant, model, version, reason } = what;
            // A model as a file has no version that could be kept from anybody.
            let Ok(version) = version.parse() else {
                let reason = format!("{model} {version} is no registered version, so there is nothing to freeze");
                return Err(Refused { reason, for_good: true, after: None });
            };
            let done = freeze(&self.registry, &self.gate, (&tenant, &model, version), &reason).await;
            done.map_err(|reason| Refused { reason, for_good: false, after: None })
        })
    }
}
