//! Runs: their life, and searching them.

use super::experiments;
use crate::actions::{CreateRun, DeleteRun, ReadRun, RestoreRun, UpdateRun};
use crate::error::{RegistryError, Result};
use crate::names::random_name;
use crate::registry::Registry;
use crate::shown::{Found, Shown};
use crate::sql::log::Target;
use crate::sql::{self, runs};
use crate::told::{Changed, tell};
use crate::types::{Lifecycle, Page, Pair, Run, RunInfo, RunStatus, View};
use crate::{page, search, validate};
use mainspring_core::{Authorized, Tenant};
use mainspring_store::Conn;
use std::sync::Arc;

/// The tag that carries a run's name.
pub(crate) const RUN_NAME: &str = "mlflow.runName";

/// A run to be created.
#[derive(Debug, Clone, Default)]
pub struct NewRun {
    /// The experiment; it must be active.
    pub experiment: i64,
    /// Shown name; made up when it is empty and no tag `mlflow.runName` says it.
    pub name: String,
    /// Who starts it.
    pub user: String,
    /// When it started, ms.
    pub started: i64,
    /// Tags.
    pub tags: Vec<Pair>,
}

/// What to change of a run; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct RunChange {
    /// New status.
    pub status: Option<RunStatus>,
    /// New end, ms.
    pub ended: Option<i64>,
    /// New name; empty leaves it.
    pub name: Option<String>,
}

/// What a search of runs asks for.
#[derive(Debug, Clone)]
pub struct RunSearch {
    /// In which experiments.
    pub experiments: Vec<i64>,
    /// Which lifecycle stages.
    pub view: View,
    /// Filter, e.g. `metrics.loss < 0.1 AND params.lr = '0.01'`.
    pub filter: String,
    /// Order, e.g. `metrics.loss DESC`; newest first behind it.
    pub order_by: Vec<String>,
    /// Size of a page, 1 to 50000.
    pub max_results: i64,
    /// From the page before.
    pub page_token: Option<String>,
}

impl Default for RunSearch {
    fn default() -> Self {
        Self {
            experiments: Vec::new(),
            view: View::Active,
            filter: String::new(),
            order_by: Vec::new(),
            max_results: 1000,
            page_token: None,
        }
    }
}

pub(crate) fn no_run(id: &str) -> RegistryError {
    RegistryError::NotFound(format!("Run with id={id} not found"))
}

/// The run, in whatever stage.
pub(crate) async fn info(c: &mut Conn, tenant: &Tenant, id: &str) -> Result<RunInfo> {
    runs::info(c, tenant, id).await?.ok_or_else(|| no_run(id))
}

/// The run, if it is active, in a transaction that changes it or logs to it.
pub(crate) async fn touch(c: &mut Conn, tenant: &Tenant, id: &str) -> Result<RunInfo> {
    let run = runs::touch(c, tenant, id).await?.ok_or_else(|| no_run(id))?;
    match run.stage {
        Lifecycle::Active => Ok(run),
        Lifecycle::Deleted => Err(RegistryError::Invalid(format!(
            "The run {id} must be in the 'active' state. Current state is {}.",
            run.stage.as_str()
        ))),
    }
}

/// The runs that a search found, in their order. Those that are kept as they are now are not read.
async fn shown(c: &mut Conn, tenant: &Tenant, kept: &Shown, found: &[Found]) -> Result<Vec<Arc<Run>>> {
    let mut all = kept.get(tenant, found);
    let missing: Vec<&Found> = found.iter().zip(&all).filter(|(_, run)| run.is_none()).map(|(run, _)| run).collect();
    if !missing.is_empty() {
        let ids: Vec<String> = missing.iter().map(|run| run.id.clone()).collect();
        let infos = runs::infos(c, tenant, &ids).await?;
        // The snapshot in which they were found has them all.
        let read: Vec<Arc<Run>> = runs::hydrate(c, tenant, infos).await?.into_iter().map(Arc::new).collect();
        kept.put(tenant, missing.into_iter().zip(&read));
        let mut read = read.into_iter();
        all.iter_mut().filter(|run| run.is_none()).for_each(|run| *run = read.next());
    }
    Ok(all.into_iter().flatten().collect())
}

fn named(new: &mut NewRun, ids: &dyn mainspring_core::IdGen) -> Result<()> {
    let tag = new.tags.iter().rev().find(|t| t.key == RUN_NAME).map(|t| t.value.clone());
    if let Some(tag) = tag.as_deref()
        && !new.name.is_empty()
        && !tag.is_empty()
        && tag != new.name
    {
        return Err(RegistryError::Invalid(format!(
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values \
             (run_name='{}', mlflow.runName='{tag}').",
            new.name
        )));
    }
    if new.name.is_empty() {
        new.name = tag.filter(|t| !t.is_empty()).unwrap_or_else(|| random_name(ids));
    }
    new.tags.retain(|t| t.key != RUN_NAME);
    new.tags.push(Pair::new(RUN_NAME, &new.name));
    Ok(())
}

impl Registry {
    /// Starts a run.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] when there is no such experiment, [`RegistryError::Invalid`] when
    /// it is deleted or the name is said twice differently.
    pub async fn create_run(&self, auth: &Authorized<CreateRun>, mut new: NewRun) -> Result<Run> {
        let ids = &*self.inner.ctx.ids;
        named(&mut new, ids)?;
        let mut tags = Vec::with_capacity(new.tags.len());
        for (i, tag) in new.tags.into_iter().enumerate() {
            tags.push(validate::run_tag(tag, &format!("tags[{i}]"))?);
        }
        self.ready(auth.tenant()).await?;
        let (tenant, audit) = (auth.tenant().clone(), auth.audit());
        let mut info = RunInfo {
            id: ids.hex32(),
            name: new.name,
            experiment: new.experiment,
            user: new.user,
            status: RunStatus::Running,
            started: new.started,
            ended: None,
            artifact_uri: String::new(),
            stage: Lifecycle::Active,
        };
        let told = self.told(&tenant, Changed::run(&info.id, info.status));
        self.inner
            .db
            .write(move |c| {
                Box::pin(async move {
                    let e = experiments::active(c, &tenant, info.experiment).await?;
                    let root = e.artifact_location.trim_end_matches('/');
                    info.artifact_uri = format!("{root}/{}/artifacts", info.id);
                    runs::insert(c, &tenant, &info).await?;
                    let to = Target { tenant: &tenant, experiment: info.experiment, run: &info.id };
                    sql::log::set_tags(c, &to, &tags).await?;
                    c.audit(&audit).await?;
                    tell(c, told).await?;
                    Ok(Run {
                        info,
                        metrics: Vec::new(),
                        params: Vec::new(),
                        tags,
                        inputs: Vec::new(),
                        model_inputs: Vec::new(),
                        model_outputs: Vec::new(),
                    })
                })
            })
            .await
    }

    /// A run with what was logged to it.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`].
    pub async fn run(&self, auth: &Authorized<ReadRun>, id: &str) -> Result<Run> {
        let (tenant, id) = (auth.tenant().clone(), id.to_owned());
        self.inner
            .db
            .read(move |c| {
                Box::pin(async move {
                    let found = info(c, &tenant, &id).await?;
                    let mut runs = runs::hydrate(c, &tenant, vec![found]).await?;
                    runs.pop().ok_or_else(|| no_run(&id))
                })
            })
            .await
    }

    /// A run without what was logged to it.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`].
    pub async fn run_info(&self, auth: &Authorized<ReadRun>, id: &str) -> Result<RunInfo> {
        let (tenant, id) = (auth.tenant().clone(), id.to_owned());
        self.inner.db.read(move |c| Box::pin(async move { info(c, &tenant, &id).await })).await
    }

    /// Changes an active run's status, end or name.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`]; [`RegistryError::Invalid`] when the run is deleted.
    pub async fn update_run(&self, auth: &Authorized<UpdateRun>, id: &str, change: RunChange) -> Result<RunInfo> {
        let (tenant, audit, id) = (auth.tenant().clone(), auth.audit(), id.to_owned());
        let told = change.status.and_then(|status| self.told(&tenant, Changed::run(&id, status)));
        self.inner
            .db
            .write(move |c| {
                Box::pin(async move {
                    let run = touch(c, &tenant, &id).await?;
                    runs::update(c, &tenant, &id, (change.status, change.ended)).await?;
                    if let Some(name) = change.name.filter(|n| !n.is_empty()) {
                        runs::rename(c, &tenant, &id, &name).await?;
                        let to = Target { tenant: &tenant, experiment: run.experiment, run: &id };
                        sql::log::set_tags(c, &to, &[Pair::new(RUN_NAME, name)]).await?;
                    }
                    c.audit(&audit).await?;
                    if change.status.is_some_and(|status| status != run.status) {
                        tell(c, told).await?;
                    }
                    info(c, &tenant, &id).await
                })
            })
            .await
    }

    /// Marks a run deleted.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`].
    pub async fn delete_run(&self, auth: &Authorized<DeleteRun>, id: &str) -> Result<()> {
        let (tenant, audit, id, now) = (auth.tenant().clone(), auth.audit(), id.to_owned(), self.now());
        self.inner
            .db
            .write(move |c| {
                Box::pin(async move {
                    if runs::set_stage(c, &tenant, &id, Lifecycle::Deleted, Some(now)).await? == 0 {
                        return Err(no_run(&id));
                    }
                    Ok(c.audit(&audit).await?)
                })
            })
            .await
    }

    /// Brings a deleted run back.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`], also for a run whose purge has begun.
    pub async fn restore_run(&self, auth: &Authorized<RestoreRun>, id: &str) -> Result<()> {
        let (tenant, audit, id) = (auth.tenant().clone(), auth.audit(), id.to_owned());
        self.inner
            .db
            .write(move |c| {
                Box::pin(async move {
                    if runs::set_stage(c, &tenant, &id, Lifecycle::Active, None).await? == 0 {
                        return Err(no_run(&id));
                    }
                    Ok(c.audit(&audit).await?)
                })
            })
            .await
    }

    /// Searches runs. The database filters, orders and cuts; of the page only what changed is read in full.
    ///
    /// # Errors
    /// [`RegistryError::Invalid`] for a filter, an order, a page size or a token that is wrong.
    pub async fn search_runs(&self, auth: &Authorized<ReadRun>, asked: &RunSearch) -> Result<Page<Arc<Run>>> {
        let limit = validate::max_results(asked.max_results, validate::MAX_RESULTS)?;
        let offset = page::offset(asked.page_token.as_deref())?;
        let q = sql::search::Query {
            experiments: asked.experiments.clone(),
            view: asked.view,
            clauses: search::RUNS.filter(&asked.filter)?,
            orders: search::RUNS.order(&asked.order_by)?,
            limit: limit + 1,
            offset,
        };
        let (tenant, inner) = (auth.tenant().clone(), Arc::clone(&self.inner));
        self.inner
            .db
            .read(move |c| {
                Box::pin(async move {
                    let found = sql::search::search(c, &tenant, &q).await?;
                    let cut = page::cut(found, offset, limit);
                    Ok(Page { items: shown(c, &tenant, &inner.shown, &cut.items).await?, next: cut.next })
                })
            })
            .await
    }
}
