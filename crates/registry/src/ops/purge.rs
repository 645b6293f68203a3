//! Removing deleted things for good, and freeing their space.

use crate::actions::Purge;
use crate::error::{RegistryError, Result};
use crate::registry::Registry;
use crate::sql::purge::{self as sql, Candidate};
use crate::uri;
use mainspring_core::{Authorized, Tenant};
use serde::Serialize;
use std::time::Duration;

/// What a purge removed and what it kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PurgeReport {
    /// Runs removed.
    pub runs: Vec<String>,
    /// Logged models removed.
    pub logged_models: Vec<String>,
    /// Experiments removed.
    pub experiments: Vec<String>,
    /// Files removed from the artifact store.
    pub files: u64,
    /// Runs and logged models kept because a model version is served from their files, each with
    /// that version.
    pub kept: Vec<(String, String)>,
    /// Things whose artifacts are in another store, which this server does not touch.
    pub elsewhere: Vec<String>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Run,
    LoggedModel,
}

impl Registry {
    /// Removes runs, logged models and experiments that were deleted at least `older_than` ago,
    /// with their artifacts. What a live model version is served from stays. A purge that is cut
    /// short goes on where it stopped the next time.
    ///
    /// # Errors
    /// [`RegistryError::Store`] or [`RegistryError::Artifact`]; what was removed until then is gone.
    pub async fn purge(&self, auth: &Authorized<Purge>, older_than: Duration) -> Result<PurgeReport> {
        let tenant = auth.tenant().clone();
        let age = i64::try_from(older_than.as_millis()).unwrap_or(i64::MAX);
        let before = self.now().saturating_sub(age);
        let mut report = PurgeReport::default();
        let audit = auth.audit();
        self.inner.db.write(move |c| Box::pin(async move { c.audit(&audit).await })).await?;

        let owner = tenant.clone();
        let (runs, models) = self
            .inner
            .db
            .read(move |c| {
                Box::pin(async move {
                    let runs = sql::runs(c, &owner, before).await?;
                    Ok::<_, RegistryError>((runs, sql::logged_models(c, &owner, before).await?))
                })
            })
            .await?;
        for run in runs {
            self.remove(&tenant, Kind::Run, run, &mut report).await?;
        }
        for model in models {
            self.remove(&tenant, Kind::LoggedModel, model, &mut report).await?;
        }
        let owner = tenant.clone();
        let empty =
            self.inner.db.read(move |c| Box::pin(async move { sql::experiments(c, &owner, before).await })).await?;
        for e in empty {
            self.remove_experiment(&tenant, e, &mut report).await?;
        }
        Ok(report)
    }

    async fn free(&self, tenant: &Tenant, what: &Candidate, report: &mut PurgeReport) -> Result<()> {
        match uri::locate(tenant, &what.artifact_uri, "") {
            Ok(place) => {
                report.files += self.inner.artifacts.delete_prefix(&place).await?;
                Ok(())
            }
            Err(RegistryError::Elsewhere(_)) => {
                report.elsewhere.push(what.id.clone());
                Ok(())
            }
            Err(e) => Err(e),
        }
    }

    async fn remove(&self, tenant: &Tenant, kind: Kind, what: Candidate, report: &mut PurgeReport) -> Result<()> {
        let (owner, seen) = (tenant.clone(), what.clone());
        let table = if kind == Kind::Run { "runs" } else { "logged_models" };
        let (served, marked) = self
            .inner
            .db
            .write(move |c| {
                Box::pin(async move {
                    let served = sql::served_from(c, &owner, &seen.artifact_uri).await?;
                    let marked = served.is_none() && sql::mark(c, &owner, table, &seen.id).await?;
                    Ok::<_, RegistryError>((served, marked))
                })
            })
            .await?;
        if let Some(version) = served {
            report.kept.push((what.id, version));
            return Ok(());
        }
        if !marked {
            // Restored in the meantime.
            return Ok(());
        }
        self.free(tenant, &what, report).await?;
        let (owner, id) = (tenant.clone(), what.id.clone());
        self.inner
            .db
            .write(move |c| {
                Box::pin(async move {
                    match kind {
                        Kind::Run => sql::remove_run(c, &owner, &id).await,
                        Kind::LoggedModel => sql::remove_logged_model(c, &owner, &id).await,
                    }
                })
            })
            .await?;
        match kind {
            Kind::Run => report.runs.push(what.id),
            Kind::LoggedModel => report.logged_models.push(what.id),
        }
        Ok(())
    }

    async fn remove_experiment(&self, tenant: &Tenant, what: Candidate, report: &mut PurgeReport) -> Result<()> {
        let (owner, id) = (tenant.clone(), what.id.clone());
        let removed =
            self.inner.db.write(move |c| Box::pin(async move { sql::remove_experiment(c, &owner, &id).await })).await?;
        if removed {
            // A location that somebody chose may hold more than this experiment.
            if what.artifact_uri == format!("{}/{}", uri::PROXY, what.id) {
                self.free(tenant, &what, report).await?;
            }
            report.experiments.push(what.id);
        }
        Ok(())
    }
}
