//! What runs, versions, deployments and the journal say of each other.

use super::names;
use futures::future::BoxFuture;
use mainspring_convert::lineage::Derived;
use mainspring_core::{Action, Authorized, ErrorKind, Failure, Gate, Principal, Timestamp};
use mainspring_lineage::{Around, Detail, Known, NAMESPACE, Node, Own, PortError, ThingKind};
use mainspring_query::{Query, QueryJournal};
use mainspring_registry::actions::{ReadExperiment, ReadModel, ReadRun};
use mainspring_registry::{ExperimentSearch, ModelSearch, ModelVersion, Registry, RegistryError, Run, RunSearch};
use mainspring_serving::{DeploymentView, Describe, Serving};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Neighbours of a node that are looked at.
const MOST: u32 = 500;
/// Runs of an experiment, and versions of all models, that are looked at.
const RUNS: i64 = 200;
const VERSIONS: i64 = 10_000;

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

type Found<T> = Result<T, PortError>;

fn port(e: impl Failure) -> PortError {
    PortError::of(&e)
}

/// What is not there is no failure.
fn maybe<T>(found: Result<T, RegistryError>) -> Found<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound) => Ok(None),
        Err(e) => Err(port(e)),
    }
}

/// A text inside a literal of SQL or of MLflow's filters.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn model(name: &str, version: impl ToString) -> Node {
    Node::Model { name: name.into(), version: version.to_string() }
}

fn derived(v: &ModelVersion) -> Derived {
    let tags = v.tags.iter().map(|t| (t.key.as_str(), t.value.as_str()));
    Derived::read(&v.name, v.version.to_string(), tags)
}

/// The job that made a version from another one.
fn conversion(v: &ModelVersion) -> Node {
    Node::job(NAMESPACE, &format!("conversions/{}/{}", v.name, v.version))
}

/// Predictions of one deployment by one version.
struct Answered {
    deployment: String,
    model: String,
    version: String,
    count: u64,
}

impl House {
    fn may<A: Action>(&self, who: &Arc<Principal>, action: A) -> Found<Authorized<A>> {
        self.gate.authorize(who, action).map_err(port)
    }

    fn deployments(&self, who: &Arc<Principal>) -> Found<Vec<DeploymentView>> {
        Ok(self.serving.list(&self.may(who, Describe { deployment: None })?))
    }

    /// Predictions in the journal, but for those in the shadow of others.
    async fn answered(&self, who: &Arc<Principal>, only: &str) -> Found<Vec<Answered>> {
        let auth = self.may(who, QueryJournal)?;
        let sql = format!(
            "SELECT deployment, model, version, count(*) FROM predictions \
             WHERE {only} AND shadow_of IS NULL AND protocol NOT IN ('batch', 'personalizer') \
             GROUP BY deployment, model, version ORDER BY deployment, model, version LIMIT {MOST}"
        );
        let rows = self.query.sql(&auth, &sql).await.map_err(port)?.values();
        let answered = |row: &Vec<Value>| {
            let text = |at: usize| row.get(at).and_then(Value::as_str).map(str::to_owned);
            let count = row.get(3).and_then(Value::as_u64).unwrap_or(0);
            Some(Answered { deployment: text(0)?, model: text(1)?, version: text(2)?, count })
        };
        Ok(rows.iter().filter_map(answered).collect())
    }

    async fn dataset(&self, who: &Arc<Principal>, node: &Node, (namespace, name): (&str, &str)) -> Found<Around> {
        let sought = names::sought(namespace, name);
        let auth = self.may(who, ReadRun::any())?;
        let uses = self.registry.dataset_uses(&auth, sought, MOST + 1).await.map_err(port)?;
        let cut = uses.len() > MOST as usize;
        let read = uses.into_iter().filter(|u| names::logged(&u.dataset) == *node);
        let runs: BTreeSet<Node> = read.map(|u| Node::Run(u.run)).collect();
        Ok(Around {
            exists: !runs.is_empty(),
            down: runs.into_iter().collect(),
            cut: (false, cut),
            ..Around::default()
        })
    }

    async fn run(&self, who: &Arc<Principal>, id: &str) -> Found<Around> {
        let auth = self.may(who, ReadRun::on(id))?;
        let Some(run) = maybe(self.registry.run(&auth, id).await)? else { return Ok(Around::default()) };
        let (mut up, mut down): (BTreeSet<Node>, BTreeSet<Node>) = (BTreeSet::new(), BTreeSet::new());
        up.extend(run.inputs.iter().map(|i| names::logged(&i.dataset)));
        let auth = self.may(who, ReadModel::any())?;
        let read = self.registry.versions_of_models(&auth, run.model_inputs.clone()).await.map_err(port)?;
        up.extend(read.into_iter().map(|(name, version)| model(&name, version)));
        for v in self.made_by(&auth, id).await? {
            down.insert(model(&v.name, v.version));
        }
        let experiment = self.may(who, ReadExperiment::any())?;
        let experiment = maybe(self.registry.experiment(&experiment, run.info.experiment).await)?.map(|e| e.name);
        let detail = Detail {
            title: Some(run.info.name.clone()),
            state: Some(run.info.status.as_str().to_owned()),
            at: Some(Timestamp::from_millis(run.info.started)),
            predictions: None,
            experiment,
        };
        Ok(Around {
            exists: true,
            detail,
            up: up.into_iter().collect(),
            down: down.into_iter().collect(),
            ..Around::default()
        })
    }

    /// Versions that came out of a run itself, not those made from such a version later.
    async fn made_by(&self, auth: &Authorized<ReadModel>, run: &str) -> Found<Vec<ModelVersion>> {
        let search = ModelSearch {
            filter: format!("run_id = {}", quoted(run)),
            max_results: VERSIONS,
            ..ModelSearch::default()
        };
        let found = self.registry.search_versions(auth, &search).await.map_err(port)?.items;
        Ok(found.into_iter().filter(|v| derived(v).from.is_none()).collect())
    }

    async fn model(&self, who: &Arc<Principal>, (name, version): (&str, &str)) -> Found<Around> {
        let auth = self.may(who, ReadModel::on(name))?;
        let found = match version.parse() {
            Ok(number) => maybe(self.registry.version(&auth, name, number).await)?,
            Err(_) => None,
        };
        let (mut up, mut down): (BTreeSet<Node>, BTreeSet<Node>) = (BTreeSet::new(), BTreeSet::new());
        let mut detail = Detail::default();
        if let Some(v) = &found {
            detail.at = Some(Timestamp::from_millis(v.created));
            match derived(v).from {
                Some(_) => drop(up.insert(conversion(v))),
                None => up.extend(v.run_id.clone().map(Node::Run)),
            }
            let search = ModelSearch {
                filter: format!("name = {}", quoted(name)),
                max_results: VERSIONS,
                ..ModelSearch::default()
            };
            let all = self.registry.search_versions(&auth, &search).await.map_err(port)?.items;
            down.extend(all.iter().filter(|o| derived(o).from.as_deref() == Some(version)).map(conversion));
            if let Some(logged) = &v.model_id {
                let readers = self.may(who, ReadRun::any())?;
                let runs = self.registry.model_readers(&readers, logged, MOST).await.map_err(port)?;
                down.extend(runs.into_iter().map(Node::Run));
            }
        }
        let serving = |deployment: String| Node::Serving { deployment, model: name.into(), version: version.into() };
        let answers = |d: &DeploymentView| {
            d.versions.iter().any(|v| *v.contract.target.model == *name && *v.contract.target.version == *version)
        };
        down.extend(self.deployments(who)?.into_iter().filter(answers).map(|d| serving(d.name.to_string())));
        let only = format!("model = {} AND version = {}", quoted(name), quoted(version));
        down.extend(self.answered(who, &only).await?.into_iter().map(|a| serving(a.deployment)));
        let exists = found.is_some() || !down.is_empty();
        Ok(Around {
            exists,
            detail,
            up: up.into_iter().collect(),
            down: down.into_iter().collect(),
            ..Around::default()
        })
    }

    /// A deployment, with every version that it holds or has answered with.
    async fn deployment(&self, who: &Arc<Principal>, name: &str) -> Found<Around> {
        let view = self.deployments(who)?.into_iter().find(|d| d.name.as_str() == name);
        let (mut up, mut down): (BTreeSet<Node>, BTreeSet<Node>) = (BTreeSet::new(), BTreeSet::new());
        for v in view.iter().flat_map(|d| &d.versions) {
            up.insert(model(&v.contract.target.model, &v.contract.target.version));
        }
        for a in self.answered(who, &format!("deployment = {}", quoted(name))).await? {
            up.insert(model(&a.model, &a.version));
            down.insert(Node::Predictions { deployment: a.deployment, model: a.model, version: a.version });
        }
        let mut detail = Detail::default();
        if let Some(view) = &view {
            detail.state = Some(view.state.as_str().to_owned());
            detail.at = Some(view.since);
        }
        let exists = view.is_some() || !down.is_empty();
        Ok(Around {
            exists,
            detail,
            up: up.into_iter().collect(),
            down: down.into_iter().collect(),
            ..Around::default()
        })
    }

    /// A deployment while it answers, or answered, with one version.
    async fn serving(&self, who: &Arc<Principal>, of: (&str, &str, &str)) -> Found<Around> {
        let (deployment, name, version) = of;
        let view = self.deployments(who)?.into_iter().find(|d| d.name.as_str() == deployment);
        let holds = |d: &DeploymentView| {
            d.versions.iter().any(|v| *v.contract.target.model == *name && *v.contract.target.version == *version)
        };
        let now = view.as_ref().filter(|d| holds(d));
        let count = self.count(who, of).await?;
        let state = match now {
            Some(view) => view.state.as_str().to_owned(),
            None => "answered before".to_owned(),
        };
        let detail = Detail { state: Some(state), at: now.map(|d| d.since), ..Detail::default() };
        let answers = Node::Predictions { deployment: deployment.into(), model: name.into(), version: version.into() };
        Ok(Around {
            exists: now.is_some() || count > 0,
            detail,
            up: vec![model(name, version)],
            down: if count > 0 { vec![answers] } else { Vec::new() },
            ..Around::default()
        })
    }

    async fn count(&self, who: &Arc<Principal>, (deployment, name, version): (&str, &str, &str)) -> Found<u64> {
        let only = format!(
            "deployment = {} AND model = {} AND version = {}",
            quoted(deployment),
            quoted(name),
            quoted(version)
        );
        Ok(self.answered(who, &only).await?.iter().map(|a| a.count).sum())
    }

    async fn predictions(&self, who: &Arc<Principal>, of: (&str, &str, &str)) -> Found<Around> {
        let count = self.count(who, of).await?;
        let (deployment, model, version) = of;
        let serving = Node::Serving { deployment: deployment.into(), model: model.into(), version: version.into() };
        let detail = Detail { predictions: Some(count), ..Detail::default() };
        Ok(Around { exists: count > 0, detail, up: vec![serving], ..Around::default() })
    }

    /// A conversion or an optimisation, known by the version that it made.
    async fn conversion(&self, who: &Arc<Principal>, made: &str) -> Found<Around> {
        let Some((name, number)) = made.rsplit_once('/') else { return Ok(Around::default()) };
        let Ok(number) = number.parse() else { return Ok(Around::default()) };
        let auth = self.may(who, ReadModel::on(name))?;
        let found = maybe(self.registry.version(&auth, name, number).await)?;
        let Some((v, from)) = found.and_then(|v| derived(&v).from.map(|from| (v, from))) else {
            return Ok(Around::default());
        };
        let detail = Detail { at: Some(Timestamp::from_millis(v.created)), ..Detail::default() };
        let (up, down) = (vec![model(name, from)], vec![model(name, number)]);
        Ok(Around { exists: true, detail, up, down, ..Around::default() })
    }

    async fn jobs(&self, who: &Arc<Principal>) -> Found<Vec<Own>> {
        let auth = self.may(who, ReadExperiment::any())?;
        let experiments = self.registry.search_experiments(&auth, &ExperimentSearch::default()).await.map_err(port)?;
        let ms = Timestamp::from_millis;
        let mut own: Vec<Own> = experiments
            .items
            .into_iter()
            .map(|e| Own { name: format!("experiments/{}", e.name), created: ms(e.created), updated: ms(e.updated) })
            .collect();
        let deployment =
            |d: DeploymentView| Own { name: format!("deployments/{}", d.name), created: d.since, updated: d.since };
        own.extend(self.deployments(who)?.into_iter().map(deployment));
        for v in self.versions(who).await? {
            if let (true, Node::Job { name, .. }) = (derived(&v).from.is_some(), conversion(&v)) {
                own.push(Own { name, created: ms(v.created), updated: ms(v.updated) });
            }
        }
        own.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(own)
    }

    async fn versions(&self, who: &Arc<Principal>) -> Found<Vec<ModelVersion>> {
        let auth = self.may(who, ReadModel::any())?;
        let search = ModelSearch { max_results: VERSIONS, ..ModelSearch::default() };
        Ok(self.registry.search_versions(&auth, &search).await.map_err(port)?.items)
    }

    async fn datasets(&self, who: &Arc<Principal>) -> Found<Vec<Own>> {
        let ms = Timestamp::from_millis;
        let own = |v: ModelVersion| Own {
            name: format!("models/{}/{}", v.name, v.version),
            created: ms(v.created),
            updated: ms(v.updated),
        };
        let mut all: Vec<Own> = self.versions(who).await?.into_iter().map(own).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
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
    fn around<'a>(&'a self, who: &'a Arc<Principal>, node: &'a Node) -> BoxFuture<'a, Found<Around>> {
        Box::pin(async move {
            match node {
                Node::Dataset { namespace, name } => self.dataset(who, node, (namespace, name)).await,
                Node::Job { namespace, name } => match name.strip_prefix("conversions/") {
                    Some(made) if namespace == NAMESPACE => self.conversion(who, made).await,
                    _ => Ok(Around::default()),
                },
                Node::Run(id) => self.run(who, id).await,
                Node::Model { name, version } => self.model(who, (name, version)).await,
                Node::Deployment(name) => self.deployment(who, name).await,
                Node::Serving { deployment, model, version } => self.serving(who, (deployment, model, version)).await,
                Node::Predictions { deployment, model, version } => {
                    self.predictions(who, (deployment, model, version)).await
                }
            }
        })
    }

    fn alias<'a>(&'a self, who: &'a Arc<Principal>, name: &'a str, alias: &'a str) -> BoxFuture<'a, Found<Node>> {
        Box::pin(async move {
            let auth = self.may(who, ReadModel::on(name))?;
            let found = self.registry.version_by_alias(&auth, name, alias).await.map_err(port)?;
            Ok(model(name, found.version))
        })
    }

    fn runs<'a>(&'a self, who: &'a Arc<Principal>, experiment: &'a str) -> BoxFuture<'a, Found<Vec<Node>>> {
        Box::pin(async move {
            let auth = self.may(who, ReadExperiment::any())?;
            let found = maybe(self.registry.experiment_by_name(&auth, experiment).await)?;
            let Some(experiment) = found else { return Ok(Vec::new()) };
            let search = RunSearch { experiments: vec![experiment.id], max_results: RUNS, ..RunSearch::default() };
            let page = self.registry.search_runs(&self.may(who, ReadRun::any())?, &search).await.map_err(port)?;
            Ok(page.items.into_iter().map(|run| Node::Run(run.info.id)).collect())
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
}
