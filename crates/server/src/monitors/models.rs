//! monitor asks which version a URI means, and what it was trained on; the registry knows.

use crate::conversions::Shelf;
use crate::deployments::acting_for;
use mainspring_core::{ErrorKind, Failure, Tenant};
use mainspring_monitor::Table;
use mainspring_monitor::live::{Models, PortError, PortResult};
use mainspring_monitor::profile::{Profile, profile};
use mainspring_registry::ModelUri;
use std::path::PathBuf;

/// The registered models, for monitors.
#[derive(Debug, Clone)]
pub struct Registered {
    /// Knows them and the datasets of their runs.
    pub shelf: Shelf,
    /// A folder for copies of datasets while they are read.
    pub scratch: PathBuf,
}

fn port(e: &dyn Failure) -> PortError {
    PortError { kind: e.kind(), message: e.to_string() }
}

impl Registered {
    async fn dataset_profile(
        &self,
        tenant: &Tenant,
        (model, version): (&str, &str),
    ) -> Result<Option<(Profile, String)>, PortError> {
        // A run's model or a bare file has no versions, and no run that is known.
        let Ok(uri) = format!("models:/{model}/{version}").parse::<ModelUri>() else { return Ok(None) };
        if !matches!(uri, ModelUri::Version { .. }) {
            return Ok(None);
        }
        let Ok(found) = self.shelf.registry.resolve(tenant, &uri).await else { return Ok(None) };
        let broken = |e: std::io::Error| PortError {
            kind: ErrorKind::Internal,
            message: format!("cannot write to {}: {e}", self.scratch.display()),
        };
        tokio::fs::create_dir_all(&self.scratch).await.map_err(broken)?;
        let who = acting_for(tenant);
        let dataset = self.shelf.dataset(&who, &found, &self.scratch).await;
        let dataset = dataset.map_err(|e| PortError { kind: e.kind, message: e.message })?;
        let Some((file, _, source)) = dataset else { return Ok(None) };
        let read = file.clone();
        // One core is left to requests.
        let made = tokio::task::spawn_blocking(move || profile(&Table::open(&read)?, 1)).await;
        let _gone_already = tokio::fs::remove_file(&file).await;
        match made {
            Ok(Ok(profile)) => Ok(Some((profile, source))),
            Ok(Err(error)) => {
                tracing::info!(model, version, %error, "the training data has no profile");
                Ok(None)
            }
            Err(e) => Err(PortError { kind: ErrorKind::Internal, message: format!("reading {source} broke off: {e}") }),
        }
    }
}

impl Models for Registered {
    fn resolve<'a>(&'a self, tenant: &'a Tenant, uri: &'a str) -> PortResult<'a, (String, String)> {
        Box::pin(async move {
            let parsed: ModelUri = uri.parse().map_err(|e: mainspring_registry::RegistryError| port(&e))?;
            let found = self.shelf.registry.resolve(tenant, &parsed).await.map_err(|e| port(&e))?;
            Ok((found.name, found.version))
        })
    }

    fn training<'a>(
        &'a self,
        tenant: &'a Tenant,
        model: &'a str,
        version: &'a str,
    ) -> PortResult<'a, Option<(Profile, String)>> {
        Box::pin(self.dataset_profile(tenant, (model, version)))
    }
}
