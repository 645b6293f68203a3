//! Experiments.

use crate::actions::{CreateExperiment, DeleteExperiment, ReadExperiment, RestoreExperiment, UpdateExperiment};
use crate::error::{RegistryError, Result};
use crate::registry::{ExperimentSearch, Registry};
use crate::sql::experiments as sql;
use crate::types::{Experiment, ExperimentSummary, Lifecycle, Page, Pair};
use crate::{page, search, uri, validate};
use mainspring_core::{Authorized, Tenant};
use mainspring_store::Conn;

pub(crate) fn no_experiment(id: i64) -> RegistryError {
    RegistryError::NotFound(format!("No Experiment with id={id} exists"))
}

/// The experiment, in whatever stage.
pub(crate) async fn get(c: &mut Conn, tenant: &Tenant, id: i64) -> Result<Experiment> {
    sql::by_id(c, tenant, id).await?.ok_or_else(|| no_experiment(id))
}

/// The experiment without its tags, if it is active.
pub(crate) async fn active(c: &mut Conn, tenant: &Tenant, id: i64) -> Result<Experiment> {
    let e = sql::plain(c, tenant, id).await?.ok_or_else(|| no_experiment(id))?;
    match e.stage {
        Lifecycle::Active => Ok(e),
        Lifecycle::Deleted => Err(RegistryError::Invalid(format!(
            "The experiment {id} must be in the 'active' state. Current state is {}.",
            e.stage.as_str()
        ))),
    }
}

fn check_location(location: &str) -> Result<()> {
    if location.starts_with("runs:") {
        return Err(RegistryError::Invalid(format!("Artifact location cannot be a runs:/ URI. Given: '{location}'")));
    }
    if location.contains(['#', ';']) {
        return Err(RegistryError::invalid("'artifact_location' URL can't include fragments or params."));
    }
    match uri::proxied(location) {
        Some(path) => uri::safe(path),
        None => Ok(()),
    }
}

impl Registry {
    /// Creates an experiment and returns its id. Without a location its artifacts go to this
    /// server's store.
    ///
    /// # Errors
    /// [`RegistryError::Exists`] when the name is taken, also by a deleted experiment.
    pub async fn create_experiment(
        &self,
        auth: &Authorized<CreateExperiment>,
        name: &str,
        location: Option<&str>,
        tags: Vec<Pair>,
    ) -> Result<i64> {
        validate::experiment_name(name)?;
        let location = location.filter(|l| !l.is_empty()).map(str::to_owned);
        location.as_deref().map_or(Ok(()), check_location)?;
        tags.iter().try_for_each(validate::experiment_tag)?;
        self.ready(auth.tenant()).await?;
        let (tenant, audit, name, now) = (auth.tenant().clone(), auth.audit(), name.to_owned(), self.now());
        self.inner
            .db
            .write(move |c| {
                Box::pin(async move {
                    let id = crate::sql::count_up(c, &tenant, "experiments").await?;
                    let e = Experiment {
                        id,
                        artifact_location: location.unwrap_or_else(|| format!("{}/{id}", uri::PROXY)),
                        name,
                        stage: Lifecycle::Active,
                        created: now,
                        updated: now,
                        tags,
                    };
                    if !sql::insert(c, &tenant, &e).await? {
                        return Err(RegistryError::Exists(format!("Experiment(name={}) already exists.", e.name)));
                    }
                    c.audit(&audit).await?;
                    Ok(id)
                })
            })
            .await
    }

    /// An experiment by id, deleted ones too.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`].
    pub async fn experiment(&self, auth: &Authorized<ReadExperiment>, id: i64) -> Result<Experiment> {
        self.ready(auth.tenant()).await?;
        let tenant = auth.tenant().clone();
        self.inner.db.read(move |c| Box::pin(async move { get(c, &tenant, id).await })).await
    }

    /// An experiment by name, deleted ones too.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`].
    pub async fn experiment_by_name(&self, auth: &Authorized<ReadExperiment>, name: &str) -> Result<Experiment> {
        self.ready(auth.tenant()).await?;
        let (tenant, name) = (auth.tenant().clone(), name.to_owned());
        self.inner
            .db
            .read(move |c| {
                Box::pin(async move {
                    sql::by_name(c, &tenant, &name)
                        .await?
                        .ok_or_else(|| RegistryError::NotFound(format!("Could not find experiment with name '{name}'")))
                })
            })
            .await
    }

    fn query(asked: &ExperimentSearch) -> Result<sql::Query> {
        let limit = validate::max_results(asked.max_results, validate::MAX_RESULTS)?;
        Ok(sql::Query {
            view: asked.view,
            clauses: search::EXPERIMENTS.filter(&asked.filter)?,
            orders: search::EXPERIMENTS.order(&asked.order_by)?,
            limit: limit + 1,
            offset: page::offset(asked.page_token.as_deref())?,
        })
    }

    /// Searches experiments; newest first unless an order is given.
    ///
    /// # Errors
    /// [`RegistryError::Invalid`] for a filter, an order, a page size or a token that is wrong.
    pub async fn search_experiments(
        &self,
        auth: &Authorized<ReadExperiment>,
        asked: &ExperimentSearch,
    ) -> Result<Page<Experiment>> {
        self.ready(auth.tenant()).await?;
        let (tenant, q) = (auth.tenant().clone(), Self::query(asked)?);
        let (offset, limit) = (q.offset, q.limit - 1);
        let found = self.inner.db.read(move |c| Box::pin(async move { sql::search(c, &tenant, &q).await })).await?;
        Ok(page::cut(found, offset, limit))
    }

    /// Like [`Registry::search_experiments`], with each experiment's number of runs.
    ///
    /// # Errors
    /// As [`Registry::search_experiments`].
    pub async fn experiments_with_counts(
        &self,
        auth: &Authorized<ReadExperiment>,
        asked: &ExperimentSearch,
    ) -> Result<Page<ExperimentSummary>> {
        self.ready(auth.tenant()).await?;
        let (tenant, q) = (auth.tenant().clone(), Self::query(asked)?);
        let (offset, limit) = (q.offset, q.limit - 1);
        let found = self
            .inner
            .db
            .read(move |c| {
                Box::pin(async move {
                    let found = sql::search(c, &tenant, &q).await?;
                    sql::summaries(c, &tenant, found).await
                })
            })
            .await?;
        Ok(page::cut(found, offset, limit))
    }

    /// Renames an active experiment.
    ///
    /// # Errors
    /// [`RegistryError::State`] when it is deleted, [`RegistryError::Exists`] when the name is taken.
    pub async fn rename_experiment(&self, auth: &Authorized<UpdateExperiment>, id: i64, name: &str) -> Result<()> {
        validate::experiment_name(name)?;
        let (tenant, audit, name, now) = (auth.tenant().clone(), auth.audit(), name.to_owned(), self.now());
        self.inner
            .db
            .write(move |c| {
                Box::pin(async move {
                    if get(c, &tenant, id).await?.stage != Lifecycle::Active {
                        return Err(RegistryError::State("Cannot rename a non-active experiment.".into()));
                    }
                    if sql::by_name(c, &tenant, &name).await?.is_some_and(|other| other.id != id) {
                        return Err(RegistryError::Exists(format!("Experiment(name={name}) already exists.")));
                    }
                    sql::rename(c, &tenant, id, &name, now).await?;
                    Ok(c.audit(&audit).await?)
                })
            })
            .await
    }

    /// Marks an experiment and its runs deleted.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] when there is no such active experiment.
    pub async fn delete_experiment(&self, auth: &Authorized<DeleteExperiment>, id: i64) -> Result<()> {
        let (tenant, audit, now) = (auth.tenant().clone(), auth.audit(), self.now());
        self.inner
            .db
            .write(move |c| {
                Box::pin(async move {
                    if get(c, &tenant, id).await?.stage != Lifecycle::Active {
                        return Err(no_experiment(id));
                    }
                    sql::set_stage(c, &tenant, id, Lifecycle::Deleted, now).await?;
                    Ok(c.audit(&audit).await?)
                })
            })
            .await
    }

    /// Brings a deleted experiment and its runs back.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] when there is no such deleted experiment, or its purge has begun.
    pub async fn restore_experiment(&self, auth: &Authorized<RestoreExperiment>, id: i64) -> Result<()> {
        let (tenant, audit, now) = (auth.tenant().clone(), auth.audit(), self.now());
        self.inner
            .db
            .write(move |c| {
                Box::pin(async move {
                    crate::sql::lock_models(c, &tenant).await?;
                    if get(c, &tenant, id).await?.stage != Lifecycle::Deleted {
                        return Err(no_experiment(id));
                    }
                    sql::set_stage(c, &tenant, id, Lifecycle::Active, now).await?;
                    Ok(c.audit(&audit).await?)
                })
            })
            .await
    }

    /// Sets a tag of an active experiment.
    ///
    /// # Errors
    /// [`RegistryError::Invalid`] when the experiment is deleted or the tag is too long.
    pub async fn set_experiment_tag(&self, auth: &Authorized<UpdateExperiment>, id: i64, tag: Pair) -> Result<()> {
        validate::experiment_tag(&tag)?;
        let (tenant, audit) = (auth.tenant().clone(), auth.audit());
        self.ready(&tenant).await?;
        self.inner
            .db
            .write(move |c| {
                Box::pin(async move {
                    active(c, &tenant, id).await?;
                    sql::set_tag(c, &tenant, id, &tag).await?;
                    Ok(c.audit(&audit).await?)
                })
            })
            .await
    }

    /// Removes a tag of an active experiment.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] when it has no such tag.
    pub async fn delete_experiment_tag(&self, auth: &Authorized<UpdateExperiment>, id: i64, key: &str) -> Result<()> {
        let (tenant, audit, key) = (auth.tenant().clone(), auth.audit(), key.to_owned());
        self.inner
            .db
            .write(move |c| {
                Box::pin(async move {
                    active(c, &tenant, id).await?;
                    if sql::delete_tag(c, &tenant, id, &key).await? == 0 {
                        return Err(RegistryError::NotFound(format!(
                            "No tag with name: {key} in experiment with id {id}"
                        )));
                    }
                    Ok(c.audit(&audit).await?)
                })
            })
            .await
    }
}
