//! Inputs and outputs of runs.

use super::runs;
use crate::actions::{LogRun, ReadExperiment};
use crate::error::{RegistryError, Result};
use crate::registry::Registry;
use crate::sql::inputs as sql;
use crate::types::{DatasetInput, DatasetSummary, ModelOutput};
use crate::validate;
use mainspring_core::Authorized;

impl Registry {
    /// Records the datasets and logged models that a run read. What is there already stays.
    ///
    /// # Errors
    /// [`RegistryError::Invalid`] when the run is deleted or a dataset's description is too long.
    pub async fn log_inputs(
        &self,
        auth: &Authorized<LogRun>,
        run: &str,
        datasets: Vec<DatasetInput>,
        models: Vec<String>,
    ) -> Result<()> {
        validate::run_id(run)?;
        datasets.iter().try_for_each(validate::dataset_input)?;
        let new: Vec<(String, DatasetInput)> = datasets.into_iter().map(|d| (self.inner.ctx.ids.hex32(), d)).collect();
        let (tenant, run) = (auth.tenant().clone(), run.to_owned());
        self.inner
            .db
            .write(move |c| {
                Box::pin(async move {
                    let info = runs::touch(c, &tenant, &run).await?;
                    for (id, input) in &new {
                        let id = sql::dataset_id(c, &tenant, info.experiment, &input.dataset, id).await?;
                        sql::add_dataset(c, &tenant, (&run, info.experiment), &id, &input.tags).await?;
                    }
                    for model_id in models {
                        sql::add_model(c, &tenant, &run, "in", &ModelOutput { model_id, step: 0 }).await?;
                    }
                    Ok::<_, RegistryError>(())
                })
            })
            .await
    }

    /// Records the logged models that a run produced.
    ///
    /// # Errors
    /// [`RegistryError::Invalid`] when the run is deleted.
    pub async fn log_outputs(&self, auth: &Authorized<LogRun>, run: &str, models: Vec<ModelOutput>) -> Result<()> {
        let (tenant, run) = (auth.tenant().clone(), run.to_owned());
        self.inner
            .db
            .write(move |c| {
                Box::pin(async move {
                    runs::touch(c, &tenant, &run).await?;
                    for model in &models {
                        sql::add_model(c, &tenant, &run, "out", model).await?;
                    }
                    Ok::<_, RegistryError>(())
                })
            })
            .await
    }

    /// The datasets used in some experiments, at most 1000.
    ///
    /// # Errors
    /// [`RegistryError::Store`].
    pub async fn datasets(&self, auth: &Authorized<ReadExperiment>, of: &[i64]) -> Result<Vec<DatasetSummary>> {
        let (tenant, of) = (auth.tenant().clone(), of.to_vec());
        Ok(self.inner.db.read(move |c| Box::pin(async move { sql::summaries(c, &tenant, &of).await })).await?)
    }
}
