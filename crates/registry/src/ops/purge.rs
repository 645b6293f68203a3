//! Removing deleted things for good, and freeing their space.

use super::source::within;
use crate::actions::Purge;
use crate::error::{RegistryError, Result};
use crate::registry::Registry;
use crate::sql::lock_models;
use crate::sql::purge::{self as sql, Candidate, Kind};
use crate::uri;
use mainspring_artifact::ArtifactPath;
use mainspring_core::{Authorized, Tenant};
use mainspring_store::Conn;
use serde::Serialize;
use std::collections::HashSet;
use std::time::Duration;

/// What a purge removed, or would remove, and what it keeps.
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
    /// The bytes of these files.
    pub bytes: u64,
    /// Runs and logged models kept because a model version is served from their files, each with
    /// that version.
    pub kept: Vec<(String, String)>,
    /// Things whose artifacts are in another store, which this server does not touch.
    pub elsewhere: Vec<String>,
}

impl PurgeReport {
    fn went(&mut self, kind: Kind, id: String) {
        match kind {
            Kind::Run => self.runs.push(id),
            Kind::LoggedModel => self.logged_models.push(id),
        }
    }
}

/// Runs and logged models of one transaction.
const BATCH: usize = 64;

/// A run or a logged model.
type Member = (Kind, Candidate);

/// What is due, and of it what is kept.
struct Plan {
    members: Vec<Member>,
    /// Those that are empty once the members are gone.
    experiments: Vec<Candidate>,
    kept: Vec<(String, String)>,
}

/// The version that is served from a run's or a logged model's files, if there is one.
async fn served_by(c: &mut Conn, tenant: &Tenant, kind: Kind, what: &Candidate) -> Result<Option<String>> {
    let versions = sql::versions_of(c, tenant, kind, &what.id).await?;
    Ok(versions.into_iter().find(|(_, storage)| within(storage, &what.artifact_uri)).map(|(version, _)| version))
}

async fn plan(c: &mut Conn, tenant: &Tenant, before: i64) -> Result<Plan> {
    let mut plan = Plan { members: Vec::new(), experiments: Vec::new(), kept: Vec::new() };
    for kind in [Kind::Run, Kind::LoggedModel] {
        for what in sql::due(c, tenant, kind, before).await? {
            match served_by(c, tenant, kind, &what).await? {
                Some(version) => plan.kept.push((what.id, version)),
                None => plan.members.push((kind, what)),
            }
        }
    }
    for e in sql::due_experiments(c, tenant, before).await? {
        let going = plan.members.iter().filter(|(_, m)| m.experiment == e.experiment).count() as u64;
        if sql::members(c, tenant, e.experiment).await? == going {
            plan.experiments.push(e);
        }
    }
    Ok(plan)
}

/// What of a batch goes, and what is kept for which version.
struct Marked {
    going: Vec<Member>,
    kept: Vec<(String, String)>,
}

/// Takes members out of sight. Each is looked at again, because it may have been restored or registered
/// since the plan was made.
async fn mark(c: &mut Conn, tenant: &Tenant, members: Vec<Member>, before: i64) -> Result<Marked> {
    lock_models(c, tenant).await?;
    let mut marked = Marked { going: Vec::new(), kept: Vec::new() };
    for (kind, what) in members {
        if let Some(version) = served_by(c, tenant, kind, &what).await? {
            marked.kept.push((what.id, version));
        } else if sql::mark(c, tenant, kind, &what.id, before).await? {
            marked.going.push((kind, what));
        }
    }
    Ok(marked)
}

/// The folder of an experiment, when it is its own: a location that somebody chose may hold more, and
/// so may one that somebody chose for another experiment.
async fn own_folder(c: &mut Conn, tenant: &Tenant, e: &Candidate) -> Result<Option<ArtifactPath>> {
    if e.artifact_uri != format!("{}/{}", uri::PROXY, e.id) {
        return Ok(None);
    }
    let others = sql::other_locations(c, tenant, e.experiment).await?;
    if others.iter().any(|other| within(other, &e.artifact_uri)) {
        return Ok(None);
    }
    uri::locate(tenant, &e.artifact_uri, "").map(Some)
}

/// Whether a file is below one of these folders.
fn is_below(folders: &HashSet<String>, file: &ArtifactPath) -> bool {
    let path = file.as_str();
    path.match_indices('/').any(|(at, _)| path.get(..at).is_some_and(|folder| folders.contains(folder)))
}

impl Registry {
    /// Every tenant that has used the registry.
    ///
    /// # Errors
    /// [`RegistryError::Store`] when the database does not answer.
    pub async fn tenants(&self) -> Result<Vec<Tenant>> {
        let names = self.inner.db.read(|c| Box::pin(async move { sql::tenants(c).await })).await?;
        // A name that is none now cannot be a principal's tenant either.
        Ok(names.iter().filter_map(|name| Tenant::new(name).ok()).collect())
    }

    fn before(&self, older_than: Duration) -> i64 {
        self.now().saturating_sub(i64::try_from(older_than.as_millis()).unwrap_or(i64::MAX))
    }

    async fn plan(&self, tenant: &Tenant, before: i64) -> Result<Plan> {
        let tenant = tenant.clone();
        self.inner.db.read(move |c| Box::pin(async move { plan(c, &tenant, before).await })).await
    }

    /// Says what [`Registry::purge`] would remove and keep now, and changes nothing.
    ///
    /// # Errors
    /// [`RegistryError::Store`] or [`RegistryError::Artifact`].
    pub async fn purge_plan(&self, auth: &Authorized<Purge>, older_than: Duration) -> Result<PurgeReport> {
        let tenant = auth.tenant().clone();
        let Plan { members, experiments, kept } = self.plan(&tenant, self.before(older_than)).await?;
        let mut report = PurgeReport { kept, ..PurgeReport::default() };
        let mut counted = HashSet::new();
        for (kind, what) in members {
            if let Some(place) = place(&tenant, &what, &mut report)? {
                self.count(&place, &mut report).await?;
                counted.insert(place.as_str().to_owned());
            }
            report.went(kind, what.id);
        }
        for e in experiments {
            let (owner, what) = (tenant.clone(), e.clone());
            let folder =
                self.inner.db.read(move |c| Box::pin(async move { own_folder(c, &owner, &what).await })).await?;
            if let Some(folder) = folder {
                for file in self.inner.artifacts.walk(&folder).await? {
                    if !is_below(&counted, &file.path) {
                        report.files += 1;
                        report.bytes += file.size;
                    }
                }
            }
            report.experiments.push(e.id);
        }
        Ok(report)
    }

    /// Removes runs, logged models and experiments that were deleted at least `older_than` ago,
    /// with their artifacts. What a live model version is served from stays. A purge that is cut
    /// short goes on where it stopped the next time.
    ///
    /// # Errors
    /// [`RegistryError::Store`] or [`RegistryError::Artifact`]; what was removed until then is gone.
    pub async fn purge(&self, auth: &Authorized<Purge>, older_than: Duration) -> Result<PurgeReport> {
        let (tenant, before, audit) = (auth.tenant().clone(), self.before(older_than), auth.audit());
        self.inner.db.write(move |c| Box::pin(async move { c.audit(&audit).await })).await?;
        let Plan { members, experiments, kept } = self.plan(&tenant, before).await?;
        let mut report = PurgeReport { kept, ..PurgeReport::default() };
        for batch in members.chunks(BATCH) {
            self.remove(&tenant, batch.to_vec(), before, &mut report).await?;
        }
        for e in experiments {
            self.remove_experiment(&tenant, e, before, &mut report).await?;
        }
        Ok(report)
    }

    async fn count(&self, place: &ArtifactPath, report: &mut PurgeReport) -> Result<()> {
        let files = self.inner.artifacts.walk(place).await?;
        report.files += files.len() as u64;
        report.bytes += files.iter().map(|f| f.size).sum::<u64>();
        Ok(())
    }

    async fn free(&self, place: &ArtifactPath, report: &mut PurgeReport) -> Result<()> {
        self.count(place, report).await?;
        self.inner.artifacts.delete_prefix(place).await?;
        Ok(())
    }

    /// Removes members: two transactions, whatever their number.
    async fn remove(&self, tenant: &Tenant, members: Vec<Member>, before: i64, report: &mut PurgeReport) -> Result<()> {
        let owner = tenant.clone();
        let marking = self.inner.db.write(move |c| Box::pin(async move { mark(c, &owner, members, before).await }));
        let Marked { going, kept } = marking.await?;
        report.kept.extend(kept);
        let mut gone = Vec::with_capacity(going.len());
        let mut failed = Ok(());
        for (kind, what) in going {
            let freed = match place(tenant, &what, report) {
                Ok(Some(place)) => self.free(&place, report).await,
                other => other.map(drop),
            };
            if freed.is_err() {
                failed = freed;
                break;
            }
            gone.push((kind, what.id));
        }
        // What was freed goes, even if the next could not be.
        let (owner, ids) = (tenant.clone(), gone.clone());
        let removing = self.inner.db.write(move |c| {
            Box::pin(async move {
                for (kind, id) in &ids {
                    sql::remove(c, &owner, *kind, id).await?;
                }
                Ok::<_, RegistryError>(())
            })
        });
        removing.await?;
        gone.into_iter().for_each(|(kind, id)| report.went(kind, id));
        failed
    }

    async fn remove_experiment(
        &self,
        tenant: &Tenant,
        what: Candidate,
        before: i64,
        report: &mut PurgeReport,
    ) -> Result<()> {
        let (owner, e) = (tenant.clone(), what.clone());
        let marking = self.inner.db.write(move |c| {
            Box::pin(async move {
                lock_models(c, &owner).await?;
                if !sql::mark_experiment(c, &owner, e.experiment, before).await? {
                    return Ok::<_, RegistryError>(None);
                }
                Ok(Some(own_folder(c, &owner, &e).await?))
            })
        });
        let Some(folder) = marking.await? else { return Ok(()) };
        if let Some(folder) = folder {
            self.free(&folder, report).await?;
        }
        let (owner, number) = (tenant.clone(), what.experiment);
        let rows =
            self.inner.db.write(move |c| Box::pin(async move { sql::remove_experiment(c, &owner, number).await }));
        rows.await?;
        report.experiments.push(what.id);
        Ok(())
    }
}

/// Where the artifacts are, if they are in this server's store.
fn place(tenant: &Tenant, what: &Candidate, report: &mut PurgeReport) -> Result<Option<ArtifactPath>> {
    match uri::locate(tenant, &what.artifact_uri, "") {
        Ok(place) => Ok(Some(place)),
        Err(RegistryError::Elsewhere(_)) => {
            report.elsewhere.push(what.id.clone());
            Ok(None)
        }
        Err(e) => Err(e),
    }
}
