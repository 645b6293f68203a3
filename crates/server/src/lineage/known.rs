//! What runs, versions, deployments and the journal say of each other.

use super::look::Looking;
use futures::future::BoxFuture;
use mainspring_convert::lineage::{CONVERTED_FROM, Derived, OPTIMIZED_FROM};
use mainspring_core::{Action, Authorized, ErrorKind, Failure, Gate, Principal, Timestamp};
use mainspring_lineage::{Known, Look, NAMESPACE, Node, Own, PortError, Starts, ThingKind};
use mainspring_query::Query;
use mainspring_registry::actions::{ReadExperiment, ReadModel, ReadRun};
use mainspring_registry::{
    Experiment, ExperimentSearch, Lifecycle, ModelSearch, ModelVersion, Registry, RegistryError, Run, RunSearch,
};
use mainspring_serving::{DeploymentView, Describe, Serving};
use std::sync::Arc;

/// Neighbours of a node that are looked at.
pub(super) const MOST: u32 = 500;
/// Runs of an experiment that are looked at.
const RUNS: i64 = 200;
/// Experiments and versions read at once.
const PAGE: i64 = 10_000;
/// The tags of a version that was made from another one.
pub(super) const DERIVED: &[&str] = &[CONVERTED_FROM, OPTIMIZED_FROM];

/// Every part of the server that knows where something comes from.
#[derive(Clone)]
pub struct House {
    /// Runs and versions.
    pub registry: Registry,
    /// Deployments.
    pub serving: Serving,
    /// Predictions.
    pub query: Query,
    /// Asked for each look, in the name of who looks.
    pub gate: Gate,
}

pub(super) type Found<T> = Result<T, PortError>;

pub(super) fn port(e: impl Failure) -> PortError {
    PortError::of(&e)
}

/// What is not there is no failure, and what can have no such name is not there.
pub(super) fn maybe<T>(found: Result<T, RegistryError>) -> Found<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput) => Ok(None),
        Err(e) => Err(port(e)),
    }
}

pub(super) fn model(name: &str, version: impl ToString) -> Node {
    Node::Model { name: name.into(), version: version.to_string() }
}

pub(super) fn derived(v: &ModelVersion) -> Derived {
    let tags = v.tags.iter().map(|t| (t.key.as_str(), t.value.as_str()));
    Derived::read(&v.name, v.version.to_string(), tags)
}

/// The job that made a version from another one.
pub(super) fn conversion(model: &str, version: i64) -> Node {
    Node::job(NAMESPACE, &format!("conversions/{model}/{version}"))
}

/// Name and number in `NAME/NUMBER`.
pub(super) fn numbered(text: &str) -> Option<(&str, i64)> {
    let (name, number) = text.rsplit_once('/')?;
    Some((name, number.parse().ok()?))
}

impl House {
    pub(super) fn may<A: Action>(&self, who: &Arc<Principal>, action: A) -> Found<Authorized<A>> {
        self.gate.authorize(who, action).map_err(port)
    }

    pub(super) fn deployments(&self, who: &Arc<Principal>) -> Found<Vec<DeploymentView>> {
        Ok(self.serving.list(&self.may(who, Describe { deployment: None })?))
    }

    /// Versions that came out of a run itself, not those made from such a version later.
    pub(super) async fn made_by(&self, auth: &Authorized<ReadModel>, run: &str) -> Found<Vec<ModelVersion>> {
        // A run's id is hexadecimal.
        let filter = format!("run_id = \"{run}\"");
        let found = self.versions(auth, ModelSearch { filter, ..ModelSearch::default() }).await?;
        Ok(found.into_iter().filter(|v| derived(v).from.is_none()).collect())
    }

    /// All versions that a search finds, page by page.
    async fn versions(&self, auth: &Authorized<ReadModel>, mut search: ModelSearch) -> Found<Vec<ModelVersion>> {
        search.max_results = PAGE;
        let mut all = Vec::new();
        loop {
            let page = self.registry.search_versions(auth, &search).await.map_err(port)?;
            all.extend(page.items);
            search.page_token = page.next;
            if search.page_token.is_none() {
                return Ok(all);
            }
        }
    }

    async fn jobs(&self, who: &Arc<Principal>) -> Found<Vec<Own>> {
        let auth = self.may(who, ReadExperiment::any())?;
        let mut own = Vec::new();
        let mut search = ExperimentSearch { max_results: PAGE, ..ExperimentSearch::default() };
        loop {
            let page = self.registry.search_experiments(&auth, &search).await.map_err(port)?;
            own.extend(page.items.into_iter().map(experiment));
            search.page_token = page.next;
            if search.page_token.is_none() {
                break;
            }
        }
        own.extend(self.deployments(who)?.iter().map(deployment));
        let made = self.registry.versions_tagged(&self.may(who, ReadModel::any())?, DERIVED, None).await;
        for v in made.map_err(port)? {
            let tag = std::iter::once((v.tag.key.as_str(), v.tag.value.as_str()));
            let from = Derived::read(&v.name, v.version.to_string(), tag).from;
            if let (true, Node::Job { name, .. }) = (from.is_some(), conversion(&v.name, v.version)) {
                own.push(Own { name, created: ms(v.created), updated: ms(v.updated) });
            }
        }
        own.sort_by(|a, b| a.name.cmp(&b.name));
        own.dedup_by(|a, b| a.name == b.name);
        Ok(own)
    }

    async fn datasets(&self, who: &Arc<Principal>) -> Found<Vec<Own>> {
        let auth = self.may(who, ReadModel::any())?;
        let found = self.versions(&auth, ModelSearch::default()).await?;
        let mut all: Vec<Own> = found.iter().map(version).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    async fn job(&self, who: &Arc<Principal>, name: &str) -> Found<Option<Own>> {
        if let Some(name) = name.strip_prefix("experiments/") {
            let auth = self.may(who, ReadExperiment::any())?;
            let found = maybe(self.registry.experiment_by_name(&auth, name).await)?;
            return Ok(found.filter(|e| e.stage == Lifecycle::Active).map(experiment));
        }
        if let Some(name) = name.strip_prefix("deployments/") {
            return Ok(self.deployments(who)?.iter().find(|d| d.name.as_str() == name).map(deployment));
        }
        let Some((model, number)) = name.strip_prefix("conversions/").and_then(numbered) else { return Ok(None) };
        let found = maybe(self.registry.version(&self.may(who, ReadModel::on(model))?, model, number).await)?;
        let found = found.filter(|v| derived(v).from.is_some());
        Ok(found.map(|v| Own { name: name.to_owned(), created: ms(v.created), updated: ms(v.updated) }))
    }

    async fn version(&self, who: &Arc<Principal>, name: &str) -> Found<Option<Own>> {
        let Some((model, number)) = name.strip_prefix("models/").and_then(numbered) else { return Ok(None) };
        let found = maybe(self.registry.version(&self.may(who, ReadModel::on(model))?, model, number).await)?;
        Ok(found.as_ref().map(version))
    }

    /// A run with all that was logged to it, its experiment's name and the versions that came out of it.
    ///
    /// # Errors
    /// What the registry says.
    pub async fn whole_run(
        &self,
        who: &Arc<Principal>,
        id: &str,
    ) -> Result<Option<(Run, String, Vec<ModelVersion>)>, PortError> {
        let auth = self.may(who, ReadRun::on(id))?;
        let Some(run) = maybe(self.registry.run(&auth, id).await)? else { return Ok(None) };
        let auth = self.may(who, ReadExperiment::any())?;
        let experiment = maybe(self.registry.experiment(&auth, run.info.experiment).await)?;
        let made = self.made_by(&self.may(who, ReadModel::any())?, id).await?;
        Ok(experiment.map(|e| (run, e.name, made)))
    }

    /// A version, and the number of the version that it was made from.
    ///
    /// # Errors
    /// What the registry says.
    pub async fn whole_version(
        &self,
        who: &Arc<Principal>,
        (name, number): (&str, i64),
    ) -> Result<Option<(ModelVersion, Option<String>)>, PortError> {
        let auth = self.may(who, ReadModel::on(name))?;
        let found = maybe(self.registry.version(&auth, name, number).await)?;
        Ok(found.map(|v| (derived(&v).from, v)).map(|(from, v)| (v, from)))
    }
}

impl Known for House {
    fn look<'a>(&'a self, who: &'a Arc<Principal>) -> Box<dyn Look + 'a> {
        Box::new(Looking::new(self, who))
    }

    fn alias<'a>(&'a self, who: &'a Arc<Principal>, name: &'a str, alias: &'a str) -> BoxFuture<'a, Found<Node>> {
        Box::pin(async move {
            let auth = self.may(who, ReadModel::on(name))?;
            let found = self.registry.version_by_alias(&auth, name, alias).await.map_err(port)?;
            Ok(model(name, found.version))
        })
    }

    fn runs<'a>(&'a self, who: &'a Arc<Principal>, experiment: &'a str) -> BoxFuture<'a, Found<Starts>> {
        Box::pin(async move {
            let auth = self.may(who, ReadExperiment::any())?;
            let found = maybe(self.registry.experiment_by_name(&auth, experiment).await)?;
            let Some(experiment) = found else { return Ok(Starts::default()) };
            let search = RunSearch { experiments: vec![experiment.id], max_results: RUNS + 1, ..RunSearch::default() };
            let page = self.registry.search_runs(&self.may(who, ReadRun::any())?, &search).await.map_err(port)?;
            let runs = page.items.into_iter().map(|run| Node::Run(run.info.id.clone()));
            let mut nodes: Vec<Node> = runs.collect();
            let cut = nodes.len() > RUNS as usize;
            nodes.truncate(RUNS as usize);
            Ok(Starts { nodes, cut })
        })
    }

    fn own<'a>(&'a self, who: &'a Arc<Principal>, kind: ThingKind) -> BoxFuture<'a, Found<Vec<Own>>> {
        Box::pin(async move {
            match kind {
                ThingKind::Job => self.jobs(who).await,
                ThingKind::Dataset => self.datasets(who).await,
            }
        })
    }

    fn one<'a>(&'a self, who: &'a Arc<Principal>, kind: ThingKind, name: &'a str) -> BoxFuture<'a, Found<Option<Own>>> {
        Box::pin(async move {
            match kind {
                ThingKind::Job => self.job(who, name).await,
                ThingKind::Dataset => self.version(who, name).await,
            }
        })
    }
}

fn ms(at: i64) -> Timestamp {
    Timestamp::from_millis(at)
}

fn experiment(e: Experiment) -> Own {
    Own { name: format!("experiments/{}", e.name), created: ms(e.created), updated: ms(e.updated) }
}

fn deployment(d: &DeploymentView) -> Own {
    Own { name: format!("deployments/{}", d.name), created: d.since, updated: d.since }
}

fn version(v: &ModelVersion) -> Own {
    Own { name: format!("models/{}/{}", v.name, v.version), created: ms(v.created), updated: ms(v.updated) }
}
