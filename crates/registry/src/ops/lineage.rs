//! Where a model version comes from: version → logged model → run → datasets → their sources.

use super::{logged_models, runs, versions};
use crate::actions::{ReadModel, ReadRun};
use crate::error::{RegistryError, Result};
use crate::registry::Registry;
use crate::sql::{inputs, runs as sql, versions as stored};
use crate::types::{Dataset, LoggedModel, ModelVersion, Run};
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

/// A run that read a dataset.
#[derive(Debug, Clone)]
pub struct DatasetUse {
    /// The dataset as the run's client described it.
    pub dataset: Dataset,
    /// The run.
    pub run: String,
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

    /// Runs that read a dataset which has this name or whose source has this text in it, at most `limit` uses.
    ///
    /// # Errors
    /// [`RegistryError::Store`].
    pub async fn dataset_uses(
        &self,
        auth: &Authorized<ReadRun>,
        (name, source): (&str, &str),
        limit: u32,
    ) -> Result<Vec<DatasetUse>> {
        let (tenant, name, source) = (auth.tenant().clone(), name.to_owned(), source.to_owned());
        let read = self
            .inner
            .db
            .read(move |c| Box::pin(async move { inputs::uses(c, &tenant, (&name, &source), limit).await }));
        let found = read.await?.into_iter().map(|(dataset, run)| DatasetUse { dataset, run });
        Ok(found.collect())
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
