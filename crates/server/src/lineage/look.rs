//! One look at what runs, versions, deployments and the journal say of each other.

use super::known::{DERIVED, Found, House, MOST, conversion, derived, maybe, model, numbered, port};
use super::names;
use futures::future::BoxFuture;
use mainspring_core::{Principal, Timestamp};
use mainspring_lineage::{Around, Detail, Look, NAMESPACE, Node};
use mainspring_query::QueryJournal;
use mainspring_registry::actions::{ReadExperiment, ReadModel, ReadRun};
use mainspring_serving::DeploymentView;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::OnceCell;

/// Datasets of similar names that are read at once.
const PAGE: u32 = 500;
/// Deployments with versions whose predictions are counted.
const ANSWERED: usize = 10_000;

/// A look in somebody's name.
pub struct Looking<'h> {
    house: &'h House,
    who: &'h Arc<Principal>,
    answered: OnceCell<Vec<Answered>>,
}

/// Predictions of one deployment by one version.
struct Answered {
    deployment: String,
    model: String,
    version: String,
    count: u64,
}

impl<'h> Looking<'h> {
    /// At the house, as `who`.
    pub fn new(house: &'h House, who: &'h Arc<Principal>) -> Self {
        Self { house, who, answered: OnceCell::new() }
    }

    fn deployments(&self) -> Found<Vec<DeploymentView>> {
        self.house.deployments(self.who)
    }

    /// Predictions in the journal, but for those in the shadow of others. Counted once for all the nodes of a look: the
    /// journal has no index, and is read whole whichever of them is asked for.
    async fn answered(&self) -> Found<&[Answered]> {
        let count = async || {
            let auth = self.house.may(self.who, QueryJournal)?;
            let sql = format!(
                "SELECT deployment, model, version, count(*) FROM predictions \
                 WHERE shadow_of IS NULL AND protocol NOT IN ('batch', 'personalizer') \
                 GROUP BY deployment, model, version ORDER BY deployment, model, version LIMIT {ANSWERED}"
            );
            let rows = self.house.query.sql(&auth, &sql).await.map_err(port)?.values();
            let answered = |row: &Vec<Value>| {
                let text = |at: usize| row.get(at).and_then(Value::as_str).map(str::to_owned);
                let count = row.get(3).and_then(Value::as_u64).unwrap_or(0);
                Some(Answered { deployment: text(0)?, model: text(1)?, version: text(2)?, count })
            };
            Ok(rows.iter().filter_map(answered).collect())
        };
        self.answered.get_or_try_init(count).await.map(Vec::as_slice)
    }

    /// Whether predictions were left out of [`Looking::answered`].
    fn uncounted(&self) -> bool {
        self.answered.get().is_some_and(|all| all.len() >= ANSWERED)
    }

    async fn dataset(&self, node: &Node, (namespace, name): (&str, &str)) -> Found<Around> {
        let sought = names::sought(namespace, name);
        let auth = self.house.may(self.who, ReadRun::any())?;
        let registry = &self.house.registry;
        let (mut after, mut ids) = (String::new(), Vec::new());
        loop {
            let page = registry.datasets_named(&auth, sought, (&after, PAGE)).await.map_err(port)?;
            let whole = page.len() >= PAGE as usize;
            if let Some(last) = page.last() {
                after.clone_from(&last.id);
            }
            ids.extend(page.into_iter().filter(|d| names::logged(&d.name, &d.source) == *node).map(|d| d.id));
            if !whole {
                break;
            }
        }
        if ids.is_empty() {
            return Ok(Around::default());
        }
        let mut runs = registry.dataset_readers(&auth, ids, MOST + 1).await.map_err(port)?;
        let cut = runs.len() > MOST as usize;
        runs.truncate(MOST as usize);
        Ok(Around {
            exists: !runs.is_empty(),
            down: runs.into_iter().map(Node::Run).collect(),
            cut: (false, cut),
            ..Around::default()
        })
    }

    async fn run(&self, id: &str) -> Found<Around> {
        let auth = self.house.may(self.who, ReadRun::on(id))?;
        let Some(run) = maybe(self.house.registry.run(&auth, id).await)? else { return Ok(Around::default()) };
        let (mut up, mut down): (BTreeSet<Node>, BTreeSet<Node>) = (BTreeSet::new(), BTreeSet::new());
        up.extend(run.inputs.iter().map(|i| names::logged(&i.dataset.name, &i.dataset.source)));
        let auth = self.house.may(self.who, ReadModel::any())?;
        let read = self.house.registry.versions_of_models(&auth, run.model_inputs.clone()).await.map_err(port)?;
        up.extend(read.into_iter().map(|(name, version)| model(&name, version)));
        let made = self.house.made_by(&auth, id).await?;
        down.extend(made.iter().map(|v| model(&v.name, v.version)));
        let experiment = self.house.may(self.who, ReadExperiment::any())?;
        let experiment = maybe(self.house.registry.experiment(&experiment, run.info.experiment).await)?.map(|e| e.name);
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

    async fn model(&self, (name, version): (&str, &str)) -> Found<Around> {
        let auth = self.house.may(self.who, ReadModel::on(name))?;
        let found = match version.parse() {
            Ok(number) => maybe(self.house.registry.version(&auth, name, number).await)?,
            Err(_) => None,
        };
        let (mut up, mut down): (BTreeSet<Node>, BTreeSet<Node>) = (BTreeSet::new(), BTreeSet::new());
        let (mut detail, mut cut) = (Detail::default(), false);
        if let Some(v) = &found {
            detail.at = Some(Timestamp::from_millis(v.created));
            match derived(v).from {
                Some(_) => drop(up.insert(conversion(&v.name, v.version))),
                None => up.extend(v.run_id.clone().map(Node::Run)),
            }
            let uri = format!("models:/{name}/{}", v.version);
            let made = self.house.registry.versions_tagged(&auth, DERIVED, Some((name, &uri))).await.map_err(port)?;
            down.extend(made.iter().map(|o| conversion(&o.name, o.version)));
            if let Some(logged) = &v.model_id {
                let readers = self.house.may(self.who, ReadRun::any())?;
                let runs = self.house.registry.model_readers(&readers, logged, MOST + 1).await.map_err(port)?;
                cut = runs.len() > MOST as usize;
                down.extend(runs.into_iter().take(MOST as usize).map(Node::Run));
            }
        }
        let serving = |deployment: String| Node::Serving { deployment, model: name.into(), version: version.into() };
        let answers = |d: &DeploymentView| {
            d.versions.iter().any(|v| *v.contract.target.model == *name && *v.contract.target.version == *version)
        };
        down.extend(self.deployments()?.into_iter().filter(answers).map(|d| serving(d.name.to_string())));
        let by_it = self.answered().await?.iter().filter(|a| a.model == name && a.version == version);
        down.extend(by_it.map(|a| serving(a.deployment.clone())));
        let exists = found.is_some() || !down.is_empty();
        Ok(Around {
            exists,
            detail,
            up: up.into_iter().collect(),
            down: down.into_iter().collect(),
            cut: (false, cut || self.uncounted()),
        })
    }

    /// A deployment, with every version that it holds or has answered with.
    async fn deployment(&self, name: &str) -> Found<Around> {
        let view = self.deployments()?.into_iter().find(|d| d.name.as_str() == name);
        let (mut up, mut down): (BTreeSet<Node>, BTreeSet<Node>) = (BTreeSet::new(), BTreeSet::new());
        for v in view.iter().flat_map(|d| &d.versions) {
            up.insert(model(&v.contract.target.model, &v.contract.target.version));
        }
        for a in self.answered().await?.iter().filter(|a| a.deployment == name) {
            up.insert(model(&a.model, &a.version));
            let (model, version) = (a.model.clone(), a.version.clone());
            down.insert(Node::Predictions { deployment: name.into(), model, version });
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
            cut: (self.uncounted(), self.uncounted()),
        })
    }

    /// A deployment while it answers, or answered, with one version.
    async fn serving(&self, of: (&str, &str, &str)) -> Found<Around> {
        let (deployment, name, version) = of;
        let view = self.deployments()?.into_iter().find(|d| d.name.as_str() == deployment);
        let holds = |d: &DeploymentView| {
            d.versions.iter().any(|v| *v.contract.target.model == *name && *v.contract.target.version == *version)
        };
        let now = view.as_ref().filter(|d| holds(d));
        let count = self.count(of).await?;
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

    async fn count(&self, (deployment, name, version): (&str, &str, &str)) -> Found<u64> {
        let same = |a: &&Answered| a.deployment == deployment && a.model == name && a.version == version;
        Ok(self.answered().await?.iter().filter(same).map(|a| a.count).sum())
    }

    async fn predictions(&self, of: (&str, &str, &str)) -> Found<Around> {
        let count = self.count(of).await?;
        let (deployment, model, version) = of;
        let serving = Node::Serving { deployment: deployment.into(), model: model.into(), version: version.into() };
        let detail = Detail { predictions: Some(count), ..Detail::default() };
        Ok(Around { exists: count > 0, detail, up: vec![serving], ..Around::default() })
    }

    /// A conversion or an optimisation, known by the version that it made.
    async fn conversion(&self, made: &str) -> Found<Around> {
        let Some((name, number)) = numbered(made) else { return Ok(Around::default()) };
        let auth = self.house.may(self.who, ReadModel::on(name))?;
        let found = maybe(self.house.registry.version(&auth, name, number).await)?;
        let Some((v, from)) = found.and_then(|v| derived(&v).from.map(|from| (v, from))) else {
            return Ok(Around::default());
        };
        let detail = Detail { at: Some(Timestamp::from_millis(v.created)), ..Detail::default() };
        let (up, down) = (vec![model(name, from)], vec![model(name, number)]);
        Ok(Around { exists: true, detail, up, down, ..Around::default() })
    }
}

impl Look for Looking<'_> {
    fn around<'a>(&'a self, node: &'a Node) -> BoxFuture<'a, Found<Around>> {
        Box::pin(async move {
            match node {
                Node::Dataset { namespace, name } => self.dataset(node, (namespace, name)).await,
                Node::Job { namespace, name } => match name.strip_prefix("conversions/") {
                    Some(made) if namespace == NAMESPACE => self.conversion(made).await,
                    _ => Ok(Around::default()),
                },
                Node::Run(id) => self.run(id).await,
                Node::Model { name, version } => self.model((name, version)).await,
                Node::Deployment(name) => self.deployment(name).await,
                Node::Serving { deployment, model, version } => self.serving((deployment, model, version)).await,
                Node::Predictions { deployment, model, version } => {
                    self.predictions((deployment, model, version)).await
                }
            }
        })
    }
}
