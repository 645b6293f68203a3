//! monitor asks which version a URI means, and what it was trained on; the registry knows.

use crate::conversions::Shelf;
use crate::deployments::acting_for;
use mainspring_core::{ErrorKind, Failure, Tenant};
use mainspring_monitor::Table;
use mainspring_monitor::live::{Models, PortError, PortResult, SaveProfile, Trained};
use mainspring_monitor::profile::profile;
use mainspring_registry::ModelUri;
use std::path::PathBuf;

/// The registered models, for monitors.
#[derive(Debug, Clone)]
pub struct Registered {
    /// Knows them and the datasets of their runs.
    shelf: Shelf,
    /// For copies of datasets while they are read, each in a folder of its own.
    scratch: PathBuf,
}

fn port(e: &dyn Failure) -> PortError {
    PortError { kind: e.kind(), message: e.to_string() }
}

impl Registered {
    /// Those of `shelf`; `scratch` is a folder that nobody else uses. What a killed server left in it is removed.
    pub fn new(shelf: Shelf, scratch: PathBuf) -> Self {
        let _was_not_there = std::fs::remove_dir_all(&scratch);
        Self { shelf, scratch }
    }

    async fn dataset_profile(
        &self,
        tenant: &Tenant,
        (model, version): (&str, &str),
    ) -> Result<Option<Trained>, PortError> {
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
        // Removed when this ends, in whatever way; while it is there, nobody else's copy has its place.
        let folder = tempfile::Builder::new().prefix("profile-").tempdir_in(&self.scratch).map_err(broken)?;
        let who = acting_for(tenant);
        let dataset = self.shelf.dataset(&who, &found, folder.path()).await;
        let dataset = dataset.map_err(|e| PortError { kind: e.kind, message: e.message })?;
        let Some((file, _, source)) = dataset else { return Ok(None) };
        // One core is left to requests. The folder goes with the reader, who may outlive a caller that went away.
        let made = tokio::task::spawn_blocking(move || {
            let made = profile(&Table::open(&file)?, 1);
            drop(folder);
            made
        });
        match made.await {
            Ok(Ok(profile)) => {
                let save = SaveProfile { model: model.to_owned() };
                let auth = self.shelf.gate.authorize(&who, save).map_err(|e| port(&e))?;
                Ok(Some(Trained { profile, source, auth }))
            }
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

    fn training<'a>(&'a self, tenant: &'a Tenant, model: &'a str, version: &'a str) -> PortResult<'a, Option<Trained>> {
        Box::pin(self.dataset_profile(tenant, (model, version)))
    }
}
