//! monitor asks which version a URI means, and what it was trained on; the registry knows.

use super::named::{Place, REFERENCE, TRAINING, located, tagged};
use crate::conversions::{Shelf, tables};
use crate::deployments::acting_for;
use mainspring_core::{ErrorKind, Failure, Tenant, Timestamp};
use mainspring_monitor::Table;
use mainspring_monitor::live::{FreshVersion, Models, NamedFile, PortError, PortResult, SaveProfile, Trained};
use mainspring_monitor::profile::profile;
use mainspring_registry::actions::ReadModel;
use mainspring_registry::{ArtifactRoot, Dataset, Lineage, ModelUri, Resolved, uri};
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

    /// What is the matter with what the version's tag names as its training data, and without one with the first dataset that its
    /// run names. It is asked for when none could be read.
    async fn dataset_unused(
        &self,
        tenant: &Tenant,
        (model, version): (&str, &str),
    ) -> Result<Option<String>, PortError> {
        let Some(found) = self.version(tenant, (model, version)).await else { return Ok(None) };
        let Some(lineage) = self.lineage(tenant, &found).await? else { return Ok(None) };
        if let Some(text) = tagged(&lineage, TRAINING) {
            let why = match located(&lineage, text) {
                Ok(_) => "which is not there, or cannot be read as what its name says".to_owned(),
                Err(why) => why,
            };
            return Ok(Some(format!("the tag {TRAINING} names {}, {why}", shown(&open(text)))));
        }
        let datasets = || lineage.run.iter().flat_map(|run| &run.inputs).map(|input| &input.dataset);
        // One that names a file is more likely what was meant.
        let first = datasets().find(|dataset| address(&dataset.source).is_some()).or_else(|| datasets().next());
        Ok(first.map(unused))
    }

    /// A folder for copies, removed when it is dropped, in whatever way; while it is there, nobody else's copy has its place.
    async fn folder(&self) -> Result<tempfile::TempDir, PortError> {
        let broken = |e: std::io::Error| PortError {
            kind: ErrorKind::Internal,
            message: format!("cannot write to {}: {e}", self.scratch.display()),
        };
        tokio::fs::create_dir_all(&self.scratch).await.map_err(broken)?;
        tempfile::Builder::new().prefix("profile-").tempdir_in(&self.scratch).map_err(broken)
    }

    async fn lineage(&self, tenant: &Tenant, found: &Resolved) -> Result<Option<Lineage>, PortError> {
        let Ok(number) = found.version.parse() else { return Ok(None) };
        let read = ReadModel::on(&found.name);
        let auth = self.shelf.gate.authorize(&acting_for(tenant), read).map_err(|e| port(&e))?;
        self.shelf.registry.lineage(&auth, &found.name, number).await.map(Some).map_err(|e| port(&e))
    }

    /// A copy of the table that a tag of the version or of its run names.
    async fn named(
        &self,
        tenant: &Tenant,
        (model, version): (&str, &str),
        key: &str,
    ) -> Result<Option<NamedFile>, PortError> {
        let Some(found) = self.version(tenant, (model, version)).await else { return Ok(None) };
        let Some(lineage) = self.lineage(tenant, &found).await? else { return Ok(None) };
        let Some(text) = tagged(&lineage, key) else { return Ok(None) };
        let unread = |why: &str| PortError {
            kind: ErrorKind::Conflict,
            message: format!("the tag {key} of {model} version {version} names {}, {why}", shown(&open(text))),
        };
        let Place { root, path, format } = located(&lineage, text).map_err(|why| unread(&why))?;
        let folder = self.folder().await?;
        let copied = self.shelf.copy(&acting_for(tenant), (&root, &path, format), folder.path()).await;
        let copied = copied.map_err(|e| PortError { kind: e.kind, message: e.message })?;
        let path = copied.ok_or_else(|| unread("which is not there"))?;
        Ok(Some(NamedFile {
            path,
            source: format!("{} of {model} version {version}", shown(text)),
            held: Box::new(folder),
        }))
    }

    /// A copy of what the version was trained on: what its tag names, and without one the first dataset of its run that is
    /// here. What a tag names and is not there is no dataset either: somebody meant it.
    async fn trained_on(
        &self,
        tenant: &Tenant,
        (model, version): (&str, &str),
    ) -> Result<Option<NamedFile>, PortError> {
        match self.named(tenant, (model, version), TRAINING).await {
            Ok(None) => {}
            Err(error) if error.kind == ErrorKind::Conflict => {
                tracing::info!(model, version, %error, "the training data is not read");
                return Ok(None);
            }
            named => return named,
        }
        let Some(found) = self.version(tenant, (model, version)).await else { return Ok(None) };
        let folder = self.folder().await?;
        let dataset = self.shelf.dataset(&acting_for(tenant), &found, folder.path()).await;
        let dataset = dataset.map_err(|e| PortError { kind: e.kind, message: e.message })?;
        Ok(dataset.map(|(path, _, source)| NamedFile { path, source, held: Box::new(folder) }))
    }

    /// How large the file is that [`Self::trained_on`] copies.
    async fn training_bytes(&self, tenant: &Tenant, (model, version): (&str, &str)) -> Result<Option<u64>, PortError> {
        let Some(found) = self.version(tenant, (model, version)).await else { return Ok(None) };
        let Some(lineage) = self.lineage(tenant, &found).await? else { return Ok(None) };
        let named = tagged(&lineage, TRAINING).map(|text| located(&lineage, text).map(|at| (at.root, at.path)));
        let places: Vec<(ArtifactRoot, String)> = match named {
            Some(named) => named.into_iter().collect(),
            None => tables(&lineage).map(|(_, (root, path, _))| (root, path)).collect(),
        };
        for (root, path) in &places {
            let size = self.shelf.size(&acting_for(tenant), (root, path)).await;
            if let Some(size) = size.map_err(|e| PortError { kind: e.kind, message: e.message })? {
                return Ok(Some(size));
            }
        }
        Ok(None)
    }

    async fn dataset_profile(
        &self,
        tenant: &Tenant,
        (model, version): (&str, &str),
    ) -> Result<Option<Trained>, PortError> {
        let who = acting_for(tenant);
        let Some(NamedFile { path, source, held }) = self.trained_on(tenant, (model, version)).await? else {
            return Ok(None);
        };
        // One core is left to requests. The copy goes with the reader, who may outlive a caller that went away.
        let made = tokio::task::spawn_blocking(move || {
            let made = profile(&Table::open(&path)?, 1);
            drop(held);
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

    fn training_size<'a>(
        &'a self,
        tenant: &'a Tenant,
        model: &'a str,
        version: &'a str,
    ) -> PortResult<'a, Option<u64>> {
        Box::pin(self.training_bytes(tenant, (model, version)))
    }

    fn registered(&self, after: Timestamp) -> PortResult<'_, Vec<FreshVersion>> {
        Box::pin(async move {
            let found = self.shelf.registry.registered_since(after.millis()).await.map_err(|e| port(&e))?;
            let fresh = |(tenant, model, version, at): (Tenant, String, i64, i64)| FreshVersion {
                tenant,
                model,
                version: version.to_string(),
                at: Timestamp::from_millis(at),
            };
            Ok(found.into_iter().map(fresh).collect())
        })
    }

    fn changed(&self) -> u64 {
        *self.shelf.registry.changes().borrow()
    }

    fn unused<'a>(&'a self, tenant: &'a Tenant, model: &'a str, version: &'a str) -> PortResult<'a, Option<String>> {
        Box::pin(self.dataset_unused(tenant, (model, version)))
    }

    fn reference<'a>(
        &'a self,
        tenant: &'a Tenant,
        model: &'a str,
        version: &'a str,
    ) -> PortResult<'a, Option<NamedFile>> {
        Box::pin(self.named(tenant, (model, version), REFERENCE))
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
