//! Logged models: what a run wrote, before and beside its registration.

use super::experiments;
use crate::actions::{CreateLoggedModel, DeleteLoggedModel, ReadLoggedModel, UpdateLoggedModel};
use crate::error::{RegistryError, Result};
use crate::names::random_name;
use crate::registry::Registry;
use crate::search::{self, Field};
use crate::sql::logged_models::{self as sql, ModelOrder, OnDataset};
use crate::types::{Lifecycle, LoggedModel, LoggedModelStatus, Page, Pair};
use crate::{page, validate};
use mainspring_core::{Authorized, Tenant};
use mainspring_store::Conn;

/// A logged model to be created.
#[derive(Debug, Clone, Default)]
pub struct NewLoggedModel {
    /// The experiment; it must be active.
    pub experiment: i64,
    /// Its name; made up when there is none.
    pub name: Option<String>,
    /// Free text.
    pub model_type: Option<String>,
    /// The run that writes it.
    pub source_run_id: Option<String>,
    /// Params.
    pub params: Vec<Pair>,
    /// Tags.
    pub tags: Vec<Pair>,
}

/// Restricts a search, or the metric of an order, to a dataset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatasetFilter {
    /// The dataset's name; required.
    pub name: String,
    /// Its digest, or any.
    pub digest: Option<String>,
}

/// One entry of an order of logged models.
#[derive(Debug, Clone)]
pub struct LoggedModelOrder {
    /// An attribute, or `metrics.<key>`.
    pub field: String,
    /// Smallest first.
    pub ascending: bool,
    /// The dataset a metric was measured on.
    pub dataset: Option<DatasetFilter>,
}

/// What a search of logged models asks for.
#[derive(Debug, Clone, Default)]
pub struct LoggedModelSearch {
    /// In which experiments.
    pub experiments: Vec<i64>,
    /// Filter, e.g. `metrics.accuracy > 0.9 AND name = 'm'`.
    pub filter: String,
    /// Only models with metrics on these.
    pub datasets: Vec<DatasetFilter>,
    /// Order; newest first behind it.
    pub order_by: Vec<LoggedModelOrder>,
    /// Size of a page.
    pub max_results: i64,
    /// From the page before.
    pub page_token: Option<String>,
}

pub(crate) fn no_model(id: &str) -> RegistryError {
    RegistryError::NotFound(format!("Logged model with ID '{id}' not found."))
}

/// The logged model, in whatever stage.
pub(crate) async fn get(c: &mut Conn, tenant: &Tenant, id: &str) -> Result<LoggedModel> {
    sql::by_id(c, tenant, id).await?.ok_or_else(|| no_model(id))
}

fn on(d: &DatasetFilter) -> Result<OnDataset> {
    if d.name.is_empty() {
        return Err(RegistryError::invalid("`dataset_name` in the `datasets` clause must be specified."));
    }
    Ok(OnDataset { name: d.name.clone(), digest: d.digest.clone() })
}

fn order(entry: &LoggedModelOrder) -> Result<ModelOrder> {
    let field = match entry.field.split_once('.') {
        Some(("metrics", key)) => Field::Metric(key.trim_matches('`').into()),
        Some(_) => {
            return Err(RegistryError::Invalid(format!(
                "Invalid order by field name: {}. Only metrics are supported.",
                entry.field
            )));
        }
        None => {
            let known = search::LOGGED_MODELS.order(std::slice::from_ref(&entry.field));
            let bad = || RegistryError::Invalid(format!("Invalid order by field name: {}", entry.field));
            known.ok().and_then(|mut o| o.pop()).ok_or_else(bad)?.field
        }
    };
    let on = entry.dataset.as_ref().filter(|d| !d.name.is_empty()).map(on).transpose()?;
    Ok(ModelOrder { field, ascending: entry.ascending, on })
}

impl Registry {
    /// Creates a logged model, pending until it is finalised.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] when there is no such experiment, [`RegistryError::Invalid`] when
    /// it is deleted or the name is not allowed.
    pub async fn create_logged_model(
        &self,
        auth: &Authorized<CreateLoggedModel>,
        new: NewLoggedModel,
    ) -> Result<LoggedModel> {
        new.name.as_deref().map_or(Ok(()), validate::logged_model_name)?;
        self.ready(auth.tenant()).await?;
        let (tenant, audit, now) = (auth.tenant().clone(), auth.audit(), self.now());
        let ids = &*self.inner.ctx.ids;
        let mut model = LoggedModel {
            id: format!("m-{}", ids.hex32()),
            experiment: new.experiment,
            name: new.name.unwrap_or_else(|| random_name(ids)),
            artifact_uri: String::new(),
            created: now,
            updated: now,
            status: LoggedModelStatus::Pending,
            status_message: None,
            model_type: new.model_type,
            source_run_id: new.source_run_id,
            stage: Lifecycle::Active,
            tags: new.tags,
            params: new.params,
            metrics: Vec::new(),
        };
        self.inner
            .db
            .write(move |c| {
                Box::pin(async move {
                    let e = experiments::active(c, &tenant, model.experiment).await?;
                    let root = e.artifact_location.trim_end_matches('/');
                    model.artifact_uri = format!("{root}/models/{}/artifacts", model.id);
                    sql::insert(c, &tenant, &model).await?;
                    c.audit(&audit).await?;
                    Ok(model)
                })
            })
            .await
    }

    /// A logged model.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`], also for a deleted one unless `deleted` ones are asked for.
    pub async fn logged_model(
        &self,
        auth: &Authorized<ReadLoggedModel>,
        id: &str,
        deleted: bool,
    ) -> Result<LoggedModel> {
        let (tenant, id) = (auth.tenant().clone(), id.to_owned());
        self.inner
            .db
            .read(move |c| {
                Box::pin(async move {
                    let found = get(c, &tenant, &id).await?;
                    if found.stage == Lifecycle::Deleted && !deleted {
                        return Err(no_model(&id));
                    }
                    Ok(found)
                })
            })
            .await
    }

    /// Says how writing a logged model ended.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`].
    pub async fn finalize_logged_model(
        &self,
        auth: &Authorized<UpdateLoggedModel>,
        id: &str,
        status: LoggedModelStatus,
    ) -> Result<LoggedModel> {
        let (tenant, audit, id, now) = (auth.tenant().clone(), auth.audit(), id.to_owned(), self.now());
        self.inner
            .db
            .write(move |c| {
                Box::pin(async move {
                    if sql::set_status(c, &tenant, &id, status, now).await? == 0 {
                        return Err(no_model(&id));
                    }
                    c.audit(&audit).await?;
                    get(c, &tenant, &id).await
                })
            })
            .await
    }

    /// Marks a logged model deleted.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`].
    pub async fn delete_logged_model(&self, auth: &Authorized<DeleteLoggedModel>, id: &str) -> Result<()> {
        let (tenant, audit, id, now) = (auth.tenant().clone(), auth.audit(), id.to_owned(), self.now());
        self.inner
            .db
            .write(move |c| {
                Box::pin(async move {
                    if sql::set_stage(c, &tenant, &id, Lifecycle::Deleted, now).await? == 0 {
                        return Err(no_model(&id));
                    }
                    Ok(c.audit(&audit).await?)
                })
            })
            .await
    }

    async fn set_model_pairs(
        &self,
        auth: &Authorized<UpdateLoggedModel>,
        id: &str,
        table: &'static str,
        pairs: Vec<Pair>,
    ) -> Result<LoggedModel> {
        let (tenant, id) = (auth.tenant().clone(), id.to_owned());
        self.inner
            .db
            .write(move |c| {
                Box::pin(async move {
                    get(c, &tenant, &id).await?;
                    sql::set_pairs(c, &tenant, &id, table, &pairs).await?;
                    get(c, &tenant, &id).await
                })
            })
            .await
    }

    /// Adds params to a logged model.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`].
    pub async fn log_model_params(
        &self,
        auth: &Authorized<UpdateLoggedModel>,
        id: &str,
        params: Vec<Pair>,
    ) -> Result<LoggedModel> {
        self.set_model_pairs(auth, id, "logged_model_params", params).await
    }

    /// Sets tags of a logged model.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`].
    pub async fn set_logged_model_tags(
        &self,
        auth: &Authorized<UpdateLoggedModel>,
        id: &str,
        tags: Vec<Pair>,
    ) -> Result<LoggedModel> {
        self.set_model_pairs(auth, id, "logged_model_tags", tags).await
    }

    /// Removes a tag of a logged model.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] when it has no such tag.
    pub async fn delete_logged_model_tag(
        &self,
        auth: &Authorized<UpdateLoggedModel>,
        id: &str,
        key: &str,
    ) -> Result<()> {
        let (tenant, id, key) = (auth.tenant().clone(), id.to_owned(), key.to_owned());
        self.inner
            .db
            .write(move |c| {
                Box::pin(async move {
                    get(c, &tenant, &id).await?;
                    if sql::delete_tag(c, &tenant, &id, &key).await? == 0 {
                        return Err(RegistryError::NotFound(format!(
                            "No tag with key '{key}' found for model with ID '{id}'."
                        )));
                    }
                    Ok(())
                })
            })
            .await
    }

    /// Searches logged models.
    ///
    /// # Errors
    /// [`RegistryError::Invalid`] for a filter, an order, a page size or a token that is wrong.
    pub async fn search_logged_models(
        &self,
        auth: &Authorized<ReadLoggedModel>,
        asked: &LoggedModelSearch,
    ) -> Result<Page<LoggedModel>> {
        let limit = validate::max_results(asked.max_results, validate::MAX_RESULTS)?;
        let offset = page::offset(asked.page_token.as_deref())?;
        let q = sql::Query {
            experiments: asked.experiments.clone(),
            clauses: search::LOGGED_MODELS.filter(&asked.filter)?,
            datasets: asked.datasets.iter().map(on).collect::<Result<_>>()?,
            orders: asked.order_by.iter().map(order).collect::<Result<_>>()?,
            limit: limit + 1,
            offset,
        };
        let tenant = auth.tenant().clone();
        let found = self.inner.db.read(move |c| Box::pin(async move { sql::search(c, &tenant, &q).await })).await?;
        Ok(page::cut(found, offset, limit))
    }
}
