//! Where a model version comes from: version → logged model → run → datasets → their sources.

use super::{logged_models, runs, versions};
use crate::actions::{ReadModel, ReadRun};
use crate::error::{RegistryError, Result};
use crate::registry::Registry;
use crate::sql::{inputs, runs as sql, versions as stored};
use crate::types::{LoggedModel, ModelVersion, NamedDataset, Run, TaggedVersion};
use mainspring_core::Authorized;
use serde::Serialize;

/// The chain behind a model version. What was purged since is `None`.
#[derive(Debug, Clone, Serialize)]
pub struct Lineage {
    /// The version.
    pub version: ModelVersion,
    /// The logged model it was registered from.
    pub logged_model: Option<LoggedModel>,
    /// The run that wrote it, with its params, metrics and datasets (each with its source).
    pub run: Option<Run>,
    /// The runs above that run, nearest first, by the tag `mlflow.parentRunId`.
    pub parents: Vec<String>,
}

fn gone<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Ok(thing) => Ok(Some(thing)),
        Err(RegistryError::NotFound(_)) => Ok(None),
        Err(e) => Err(e),
    }
}

impl Registry {
    /// Where a version comes from.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] for the version.
    pub async fn lineage(&self, auth: &Authorized<ReadModel>, name: &str, version: i64) -> Result<Lineage> {
        // A chain of parents longer than this is a loop.
        const DEPTH: usize = 32;
        let (tenant, name) = (auth.tenant().clone(), name.to_owned());
        self.inner
            .db
            .read(move |c| {
                Box::pin(async move {
                    let version = versions::get(c, &tenant, &name, version).await?;
                    let logged_model = match &version.model_id {
                        Some(id) => gone(logged_models::get(c, &tenant, id).await)?,
                        None => None,
                    };
                    let mut chain: Vec<Run> = Vec::new();
                    let mut next = version.run_id.clone();
                    while let Some(id) = next.take().filter(|_| chain.len() < DEPTH) {
                        let Some(info) = gone(runs::info(c, &tenant, &id).await)? else { break };
                        let Some(run) = sql::hydrate(c, &tenant, vec![info]).await?.pop() else { break };
                        next = run.tags.iter().find(|t| t.key == "mlflow.parentRunId").map(|t| t.value.clone());
                        chain.push(run);
                    }
                    let mut chain = chain.into_iter();
                    let run = chain.next();
                    Ok(Lineage { version, logged_model, run, parents: chain.map(|r| r.info.id).collect() })
                })
            })
            .await
    }

    /// Datasets that have this name or whose source has this text in it: at most `limit`, by their ids, after the id
    /// `after`.
    ///
    /// # Errors
    /// [`RegistryError::Store`].
    pub async fn datasets_named(
        &self,
        auth: &Authorized<ReadRun>,
        (name, source): (&str, &str),
        (after, limit): (&str, u32),
    ) -> Result<Vec<NamedDataset>> {
        let (tenant, name, source, after) =
            (auth.tenant().clone(), name.to_owned(), source.to_owned(), after.to_owned());
        let read = self
            .inner
            .db
            .read(move |c| Box::pin(async move { inputs::named(c, &tenant, (&name, &source), (&after, limit)).await }));
        Ok(read.await?)
    }

    /// Runs that read one of the datasets with these ids, at most `limit`.
    ///
    /// # Errors
    /// [`RegistryError::Store`].
    pub async fn dataset_readers(
        &self,
        auth: &Authorized<ReadRun>,
        datasets: Vec<String>,
        limit: u32,
    ) -> Result<Vec<String>> {
        let tenant = auth.tenant().clone();
        let read = self
            .inner
            .db
            .read(move |c| Box::pin(async move { inputs::readers_of_datasets(c, &tenant, &datasets, limit).await }));
        Ok(read.await?)
    }

    /// Versions that have one of these tags: all of them, or those of one model whose tag has one value.
    ///
    /// # Errors
    /// [`RegistryError::Store`].
    pub async fn versions_tagged(
        &self,
        auth: &Authorized<ReadModel>,
        keys: &'static [&'static str],
        only: Option<(&str, &str)>,
    ) -> Result<Vec<TaggedVersion>> {
        let (tenant, only) = (auth.tenant().clone(), only.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let read = self.inner.db.read(move |c| {
            Box::pin(async move {
                let only = only.as_ref().map(|(name, value)| (name.as_str(), value.as_str()));
                stored::tagged(c, &tenant, keys, only).await
            })
        });
        Ok(read.await?)
    }

    /// Versions that were registered from these logged models; name and number.
    ///
    /// # Errors
    /// [`RegistryError::Store`].
    pub async fn versions_of_models(
        &self,
        auth: &Authorized<ReadModel>,
        models: Vec<String>,
    ) -> Result<Vec<(String, i64)>> {
        let tenant = auth.tenant().clone();
        let read = self.inner.db.read(move |c| Box::pin(async move { stored::of_models(c, &tenant, &models).await }));
        Ok(read.await?)
    }

    /// Runs that read a logged model, at most `limit`.
    ///
    /// # Errors
    /// [`RegistryError::Store`].
    pub async fn model_readers(&self, auth: &Authorized<ReadRun>, model: &str, limit: u32) -> Result<Vec<String>> {
        let (tenant, model) = (auth.tenant().clone(), model.to_owned());
        let read =
            self.inner.db.read(move |c| Box::pin(async move { inputs::readers(c, &tenant, &model, limit).await }));
        Ok(read.await?)
    }
}
