//! monitor asks which version a URI means, and what it was trained on; the registry knows.

use crate::conversions::Shelf;
use crate::deployments::acting_for;
use mainspring_core::{ErrorKind, Failure, Tenant};
use mainspring_monitor::Table;
use mainspring_monitor::live::{Models, PortError, PortResult, SaveProfile, Trained};
use mainspring_monitor::profile::profile;
use mainspring_registry::actions::ReadModel;
use mainspring_registry::{Dataset, ModelUri, Resolved, uri};
use serde_json::Value;
use std::path::PathBuf;

/// Characters of a dataset's name or place that are shown.
const SHOWN: usize = 200;

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

    /// A version by its number. A run's model or a bare file has no versions, and no run that is known.
    async fn version(&self, tenant: &Tenant, (model, version): (&str, &str)) -> Option<Resolved> {
        let uri = format!("models:/{model}/{version}").parse::<ModelUri>().ok()?;
        if !matches!(uri, ModelUri::Version { .. }) {
            return None;
        }
        self.shelf.registry.resolve(tenant, &uri).await.ok()
    }

    /// What is the matter with the first dataset that the version's run names. It is asked for when none could be read.
    async fn dataset_unused(
        &self,
        tenant: &Tenant,
        (model, version): (&str, &str),
    ) -> Result<Option<String>, PortError> {
        let Some(found) = self.version(tenant, (model, version)).await else { return Ok(None) };
        let Ok(number) = found.version.parse() else { return Ok(None) };
        let read = ReadModel::on(&found.name);
        let auth = self.shelf.gate.authorize(&acting_for(tenant), read).map_err(|e| port(&e))?;
        let lineage = self.shelf.registry.lineage(&auth, &found.name, number).await.map_err(|e| port(&e))?;
        let datasets = || lineage.run.iter().flat_map(|run| &run.inputs).map(|input| &input.dataset);
        // One that names a file is more likely what was meant.
        let first = datasets().find(|dataset| address(&dataset.source).is_some()).or_else(|| datasets().next());
        Ok(first.map(unused))
    }

    async fn dataset_profile(
        &self,
        tenant: &Tenant,
        (model, version): (&str, &str),
    ) -> Result<Option<Trained>, PortError> {
        let Some(found) = self.version(tenant, (model, version)).await else { return Ok(None) };
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

    fn unused<'a>(&'a self, tenant: &'a Tenant, model: &'a str, version: &'a str) -> PortResult<'a, Option<String>> {
        Box::pin(self.dataset_unused(tenant, (model, version)))
    }
}

/// Why a dataset is not read: `the run's dataset "train" is /data/train.csv, which is not in this server's store`.
fn unused(dataset: &Dataset) -> String {
    let name = shown(&dataset.name);
    let Some(address) = address(&dataset.source) else {
        return format!("the run's dataset {name:?} names no file");
    };
    let ours = uri::proxied(&address).is_some() || matches!(address.parse(), Ok(ModelUri::Run { .. }));
    let why = if ours {
        "which is not there any more, or no table (Parquet, CSV, JSON Lines)"
    } else {
        "which is not in this server's store"
    };
    format!("the run's dataset {name:?} is {}, {why}", shown(&open(&address)))
}

/// The address in a dataset's source, which is JSON in most cases; `None` where the data was made by code or a query.
fn address(source: &str) -> Option<String> {
    let Ok(held) = serde_json::from_str::<Value>(source) else {
        return Some(source.trim().to_owned()).filter(|source| !source.is_empty());
    };
    ["uri", "path", "url"].iter().find_map(|key| held.get(*key)?.as_str()).map(str::to_owned)
}

/// An address without what may be secret in it: whoever may look at a monitor reads it.
fn open(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

/// As much of what somebody logged as a sentence can hold.
fn shown(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let mut shown: String = text.chars().take(SHOWN).map(plain).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests;
