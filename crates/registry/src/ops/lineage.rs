//! Where a model version comes from: version → logged model → run → datasets → their sources.

use super::{logged_models, runs, versions};
use crate::actions::ReadModel;
use crate::error::{RegistryError, Result};
use crate::registry::Registry;
use crate::sql::runs as sql;
use crate::types::{LoggedModel, ModelVersion, Run};
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
}
