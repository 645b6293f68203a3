//! Where conversions meet the registry: models to read, and versions to register.

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt};
use mainspring_artifact::Artifacts;
use mainspring_convert::lineage::{Derived, newest};
use mainspring_convert::{Found, Models, NewModel, PortError, Rows, Task};
use mainspring_core::{Action, Authorized, ErrorKind, Failure, Gate, Principal};
use mainspring_registry::actions::{
    CreateLoggedModel, CreateVersion, ReadArtifact, ReadModel, UpdateLoggedModel, WriteArtifact,
};
use mainspring_registry::{
    ArtifactRoot, Dataset, Lineage, LoggedModelStatus, ModelSearch, ModelUri, NewLoggedModel, NewVersion, Pair,
    Registry, Resolved, uri,
};
use mainspring_serving::Mlmodel;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio_util::io::ReaderStream;

/// Versions of a model that are looked through for what was made from one of them.
const VERSIONS: i64 = 10_000;

/// Registered models, for conversions.
#[derive(Debug, Clone)]
pub struct Shelf {
    /// Knows them.
    pub registry: Registry,
    /// Holds their files.
    pub artifacts: Artifacts,
    /// Asked for each step, in the name of who wants the conversion.
    pub gate: Gate,
}

fn port(e: &dyn Failure) -> PortError {
    PortError { kind: e.kind(), message: e.to_string(), hint: e.hint() }
}

fn broken(what: &Path, e: &std::io::Error) -> PortError {
    PortError { kind: ErrorKind::Internal, message: format!("{}: {e}", what.display()), hint: None }
}

/// The newest version that was made from `version` and proven to answer the same.
///
/// # Errors
/// What the registry says.
pub async fn newest_made_from(
    registry: &Registry,
    auth: &Authorized<ReadModel>,
    name: &str,
    version: &str,
) -> mainspring_registry::Result<Option<String>> {
    let found = registry.search_versions(auth, &ModelSearch::versions_of(name, VERSIONS)).await?;
    let derived: Vec<Derived> = found
        .items
        .iter()
        .map(|v| {
            let tags = v.tags.iter().map(|t| (t.key.as_str(), t.value.as_str()));
            Derived::read(name, v.version.to_string(), tags)
        })
        .collect();
    Ok(newest(&derived, version).map(str::to_owned))
}

/// `models:/churn@champion` of `churn@champion`.
fn model_uri(text: &str) -> Result<ModelUri, PortError> {
    let full = if text.contains(":/") { text.to_owned() } else { format!("models:/{text}") };
    let parsed: ModelUri = full.parse().map_err(|e: mainspring_registry::RegistryError| port(&e))?;
    match parsed {
        ModelUri::Logged { .. } | ModelUri::Run { .. } => Err(PortError {
            kind: ErrorKind::InvalidInput,
            message: format!("{text:?} names no version of a registered model"),
            hint: Some("write NAME@alias or NAME/VERSION; register the model first: mlflow.register_model".into()),
        }),
        named => Ok(named),
    }
}

impl Shelf {
    fn may<A: Action>(&self, who: &Arc<Principal>, action: A) -> Result<Authorized<A>, PortError> {
        self.gate.authorize(who, action).map_err(|e| port(&e))
    }

    async fn resolve(&self, who: &Arc<Principal>, uri: &ModelUri) -> Result<Resolved, PortError> {
        let auth = self.may(who, ReadModel::on(uri.to_string()))?;
        self.registry.resolve_as(&auth, uri).await.map_err(|e| port(&e))
    }

    /// The ONNX model to optimise: the one named, or the newest that was made from it.
    async fn onnx(&self, who: &Arc<Principal>, named: Resolved) -> Result<Resolved, PortError> {
        let own = named.mlmodel_yaml.as_deref().and_then(|text| Mlmodel::parse(text).ok());
        if own.is_some_and(|m| m.flavors.contains_key("onnx")) {
            return Ok(named);
        }
        let auth = self.may(who, ReadModel::on(&named.name))?;
        let made = newest_made_from(&self.registry, &auth, &named.name, &named.version).await.map_err(|e| port(&e))?;
        match made.and_then(|v| v.parse().ok()) {
            Some(version) => self.resolve(who, &ModelUri::Version { name: named.name, version }).await,
            None => Err(PortError {
                kind: ErrorKind::Conflict,
                message: format!(
                    "models:/{}/{} is no ONNX model, and none that was made from it is registered",
                    named.name, named.version
                ),
                hint: Some(format!("convert it first: mainspring convert {}/{}", named.name, named.version)),
            }),
        }
    }

    /// The first dataset of the version's run that is in this server's store, as a file.
    pub(crate) async fn dataset(
        &self,
        who: &Arc<Principal>,
        found: &Resolved,
        scratch: &Path,
    ) -> Result<Option<(PathBuf, &'static str, String)>, PortError> {
        let Ok(version) = found.version.parse() else { return Ok(None) };
        let auth = self.may(who, ReadModel::on(&found.name))?;
        let lineage = self.registry.lineage(&auth, &found.name, version).await.map_err(|e| port(&e))?;
        for (dataset, (root, path, format)) in tables(&lineage) {
            // It may have been deleted since.
            let Some(into) = self.copy(who, (&root, &path, format), scratch).await? else { continue };
            return Ok(Some((into, format, format!("the run's dataset {}", dataset.name))));
        }
        Ok(None)
    }

    /// How large a file of the store is, bytes; `None` where it is not there.
    pub(crate) async fn size(
        &self,
        who: &Arc<Principal>,
        (root, path): (&ArtifactRoot, &str),
    ) -> Result<Option<u64>, PortError> {
        let auth = self.may(who, ReadArtifact::on(path))?;
        Ok(self.registry.open_artifact(&auth, root, path).await.ok().map(|download| download.file.size()))
    }

    /// A copy of a table in the store; `None` where it is not there.
    pub(crate) async fn copy(
        &self,
        who: &Arc<Principal>,
        (root, path, format): (&ArtifactRoot, &str, &str),
        scratch: &Path,
    ) -> Result<Option<PathBuf>, PortError> {
        let auth = self.may(who, ReadArtifact::on(path))?;
        let Ok(download) = self.registry.open_artifact(&auth, root, path).await else { return Ok(None) };
        let into = scratch.join(format!("dataset.{format}"));
        let mut file = tokio::fs::File::create(&into).await.map_err(|e| broken(&into, &e))?;
        let size = download.file.size();
        let mut parts = download.file.part(0..size).map_err(|e| port(&e))?;
        while let Some(part) = parts.next().await {
            let part = part.map_err(|e| broken(&into, &e))?;
            file.write_all(&part).await.map_err(|e| broken(&into, &e))?;
        }
        file.flush().await.map_err(|e| broken(&into, &e))?;
        Ok(Some(into))
    }

    /// Writes the files of a model below a new logged model, and gives its id.
    async fn upload(&self, who: &Arc<Principal>, new: &NewModel) -> Result<String, PortError> {
        let version = new.from.version.parse().unwrap_or_default();
        let auth = self.may(who, ReadModel::on(&new.from.name))?;
        let lineage = self.registry.lineage(&auth, &new.from.name, version).await.map_err(|e| port(&e))?;
        let experiment = match (&lineage.logged_model, &lineage.run) {
            (Some(model), _) => model.experiment,
            (None, Some(run)) => run.info.experiment,
            (None, None) => 0,
        };
        let auth = self.may(who, CreateLoggedModel::on(experiment.to_string()))?;
        let logged = NewLoggedModel {
            experiment,
            name: Some("onnx".into()),
            source_run_id: lineage.run.map(|r| r.info.id),
            ..NewLoggedModel::default()
        };
        let id = self.registry.create_logged_model(&auth, logged).await.map_err(|e| port(&e))?.id;
        let written = self.write(who, &id, &new.root).await;
        let status = if written.is_ok() { LoggedModelStatus::Ready } else { LoggedModelStatus::Failed };
        let auth = self.may(who, UpdateLoggedModel::on(&id))?;
        self.registry.finalize_logged_model(&auth, &id, status).await.map_err(|e| port(&e))?;
        written.map(|()| id)
    }

    async fn write(&self, who: &Arc<Principal>, id: &str, root: &Path) -> Result<(), PortError> {
        let auth = self.may(who, WriteArtifact::on(id))?;
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            let mut entries = tokio::fs::read_dir(&folder).await.map_err(|e| broken(&folder, &e))?;
            while let Some(entry) = entries.next_entry().await.map_err(|e| broken(&folder, &e))? {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let below = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
                let file = tokio::fs::File::open(&path).await.map_err(|e| broken(&path, &e))?;
                let content = ReaderStream::new(file).into_stream();
                let place = ArtifactRoot::LoggedModel(id.to_owned());
                self.registry.write_artifact(&auth, &place, &below, content).await.map_err(|e| port(&e))?;
            }
        }
        Ok(())
    }
}

/// The format of a table, as its path ends.
pub(crate) fn format_of(path: &str) -> Option<&'static str> {
    Rows { name: path.to_owned(), content: Bytes::new() }.format()
}

/// The datasets of the version's run that are tables in this server's store, and where.
pub(crate) fn tables(of: &Lineage) -> impl Iterator<Item = (&Dataset, (ArtifactRoot, String, &'static str))> {
    let datasets = of.run.iter().flat_map(|run| &run.inputs).map(|input| &input.dataset);
    datasets.filter_map(|dataset| {
        let (root, path) = place(&dataset.source)?;
        let format = format_of(&path)?;
        Some((dataset, (root, path, format)))
    })
}

/// Where a dataset is in this server's store. Other places are not read for a client: not the server's own
/// disk, nor what it can reach.
pub(crate) fn place(source: &str) -> Option<(ArtifactRoot, String)> {
    let held: Option<serde_json::Value> = serde_json::from_str(source).ok();
    let named = held.as_ref().and_then(|v| ["uri", "path", "url"].iter().find_map(|k| v.get(*k)?.as_str()));
    let address = named.unwrap_or(source);
    if let Some(path) = uri::proxied(address) {
        return Some((ArtifactRoot::Store, path.to_owned()));
    }
    match address.parse() {
        Ok(ModelUri::Run { id, path }) => Some((ArtifactRoot::Run(id), path)),
        _ => None,
    }
}

impl Models for Shelf {
    fn find<'a>(
        &'a self,
        who: &'a Arc<Principal>,
        model: &'a str,
        task: &'a Task,
        scratch: Option<&'a Path>,
    ) -> BoxFuture<'a, Result<Found, PortError>> {
        Box::pin(async move {
            let named = self.resolve(who, &model_uri(model)?).await?;
            let found = match task {
                Task::Convert(_) => named,
                Task::Optimize(_) => self.onnx(who, named).await?,
            };
            let root = self.artifacts.local_dir(&found.artifacts).await.map_err(|e| port(&e))?;
            let dataset = match scratch {
                Some(scratch) => self.dataset(who, &found, scratch).await?,
                None => None,
            };
            Ok(Found { name: found.name, version: found.version, root, dataset })
        })
    }

    fn register<'a>(&'a self, who: &'a Arc<Principal>, new: NewModel) -> BoxFuture<'a, Result<String, PortError>> {
        Box::pin(async move {
            let id = self.upload(who, &new).await?;
            let auth = self.may(who, CreateVersion::on(&new.from.name))?;
            let version = NewVersion {
                name: new.from.name,
                source: format!("models:/{id}"),
                model_id: Some(id),
                description: Some(new.description),
                tags: new.tags.into_iter().map(|(key, value)| Pair::new(key, value)).collect(),
                ..NewVersion::default()
            };
            let made = self.registry.create_version(&auth, version).await.map_err(|e| port(&e))?;
            Ok(made.version.to_string())
        })
    }
}
