//! What was kept.

use super::things;
use super::write::{run_key, thing_key};
use crate::event::ThingKind;
use crate::node::Node;
use crate::ports::Around;
use mainspring_core::{Tenant, Timestamp};
use mainspring_store::{Conn, Row, StoreError, args};

/// The most neighbours of a node that are looked at.
pub(super) const NEIGHBOURS: usize = 500;
/// A page of events ends with the one that brings it over this many bytes: each may have as many as a body.
const PAGE: i64 = 16 << 20;

/// A part of a list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The part.
    pub items: Vec<T>,
    /// How many there are in all.
    pub total: u64,
}

/// A job or a dataset, with what was said of it.
#[derive(Debug, Clone)]
pub struct KeptThing {
    /// Job or dataset.
    pub kind: ThingKind,
    /// Where the name is unique.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The time of the first event that named it.
    pub created: Timestamp,
    /// The time of the last one.
    pub updated: Timestamp,
    /// Facets by name, each as it was sent.
    pub facets: Vec<(String, String)>,
    /// Datasets that a job reads; namespace and name.
    pub inputs: Vec<(String, String)>,
    /// Datasets that a job writes.
    pub outputs: Vec<(String, String)>,
    /// The last run of a job.
    pub latest: Option<KeptRun>,
}

/// A run of a job.
#[derive(Debug, Clone)]
pub struct KeptRun {
    /// Its id.
    pub id: String,
    /// Namespace and name of its job.
    pub job: (String, String),
    /// The state it reached last, in the words of an event.
    pub state: Option<String>,
    /// When it began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// The time of its first event.
    pub created: Timestamp,
    /// The time of its last one.
    pub updated: Timestamp,
    /// Facets by name, each as it was sent.
    pub facets: Vec<(String, String)>,
}

/// An event, as it was sent.
#[derive(Debug, Clone)]
pub struct KeptEvent {
    /// JSON.
    pub body: String,
}

pub(super) fn at(row: &Row, column: &str) -> Result<Timestamp, StoreError> {
    row.int(column).map(Timestamp)
}

pub(super) async fn count(c: &mut Conn, sql: &str, args: Vec<mainspring_store::Value>) -> Result<u64, StoreError> {
    let row = c.query_opt(sql, args).await?;
    Ok(row.map_or(Ok(0), |r| r.int("n"))?.unsigned_abs())
}

/// Namespaces by name, each with the times of its first and its last event.
pub(crate) async fn namespaces(
    c: &mut Conn,
    tenant: &Tenant,
) -> Result<Vec<(String, Timestamp, Timestamp)>, StoreError> {
    let rows = c
        .query(
            "SELECT namespace, MIN(created) AS created, MAX(updated) AS updated FROM lineage_things \
             WHERE tenant = $1 GROUP BY namespace ORDER BY namespace",
            args![tenant],
        )
        .await?;
    rows.iter().map(|r| Ok((r.text("namespace")?, at(r, "created")?, at(r, "updated")?))).collect()
}

/// The datasets of a job or the jobs of a dataset, as namespace and name; one more than is looked at.
async fn linked(
    c: &mut Conn,
    tenant: &Tenant,
    (kind, key): (ThingKind, &str),
    direction: &str,
) -> Result<Vec<(String, String)>, StoreError> {
    let (mine, other) = match kind {
        ThingKind::Job => ("job", "dataset"),
        ThingKind::Dataset => ("dataset", "job"),
    };
    let sql = format!(
        "SELECT t.namespace, t.name FROM lineage_edges e \
         JOIN lineage_things t ON t.tenant = e.tenant AND t.thing = e.{other} \
         WHERE e.tenant = $1 AND e.{mine} = $2 AND e.direction = $3 ORDER BY e.{other} LIMIT $4"
    );
    let rows = c.query(&sql, args![tenant, key, direction, NEIGHBOURS as i64 + 1]).await?;
    rows.iter().map(|r| Ok((r.text("namespace")?, r.text("name")?))).collect()
}

/// A node with its neighbours, as far as events named them.
pub(crate) async fn around(c: &mut Conn, tenant: &Tenant, node: &Node) -> Result<Around, StoreError> {
    let found = by_name(c, tenant, node).await?;
    Ok(of_one_version(node, found))
}

/// Outside a deployment is one job, whichever version it answers with. Here a walk from one version must not meet what
/// another one answered: beside a version, a deployment is the deployment with that version.
fn of_one_version(node: &Node, mut found: Around) -> Around {
    let (model, version) = match node {
        Node::Model { name, version } => (name, version),
        Node::Predictions { model, version, .. } | Node::Serving { model, version, .. } => (model, version),
        Node::Dataset { .. } | Node::Job { .. } | Node::Run(_) | Node::Deployment(_) => return found,
    };
    let mine = |near: &Node| match near {
        Node::Model { name, version: of } | Node::Predictions { model: name, version: of, .. } => {
            Some(name == model && of == version)
        }
        _ => None,
    };
    for near in [&mut found.up, &mut found.down] {
        if matches!(node, Node::Serving { .. }) {
            near.retain(|n| mine(n) != Some(false));
        }
        for n in near.iter_mut() {
            if let Node::Deployment(deployment) = n {
                *n = Node::Serving {
                    deployment: std::mem::take(deployment),
                    model: model.clone(),
                    version: version.clone(),
                };
            }
        }
    }
    // Events name the deployment; whether it ever had this version is another question.
    if matches!(node, Node::Serving { .. }) && !found.up.iter().chain(&found.down).any(|n| mine(n) == Some(true)) {
        return Around::default();
    }
    found
}

async fn by_name(c: &mut Conn, tenant: &Tenant, node: &Node) -> Result<Around, StoreError> {
    let Some((kind, namespace, name)) = node.thing() else { return Ok(Around::default()) };
    let key = thing_key(kind, &namespace, &name);
    let row =
        c.query_opt("SELECT updated FROM lineage_things WHERE tenant = $1 AND thing = $2", args![tenant, &key]).await?;
    let Some(row) = row else { return Ok(Around::default()) };
    let mut found = Around { exists: true, ..Around::default() };
    found.detail.at = Some(at(&row, "updated")?);
    // What a job reads is above it; what reads a dataset is below it.
    let (above, below, other) = match kind {
        ThingKind::Job => ("in", "out", ThingKind::Dataset),
        ThingKind::Dataset => ("out", "in", ThingKind::Job),
    };
    let Around { up, down, cut, .. } = &mut found;
    for (direction, into, cut) in [(above, up, &mut cut.0), (below, down, &mut cut.1)] {
        let mut names = linked(c, tenant, (kind, &key), direction).await?;
        *cut = names.len() > NEIGHBOURS;
        names.truncate(NEIGHBOURS);
        into.extend(names.iter().map(|(namespace, name)| Node::of(other, namespace, name)));
    }
    if kind == ThingKind::Job {
        found.detail.state = runs_by(c, tenant, &key, (1, 0)).await?.pop().and_then(|r| r.state);
    }
    Ok(found)
}

/// Of a run `r` of the job `t`.
pub(super) const RUN: &str = "r.run, r.state, r.started, r.ended, r.created, r.updated, t.namespace, t.name";
const RUNS: &str = "FROM lineage_runs r JOIN lineage_things t ON t.tenant = r.tenant AND t.thing = r.job";

async fn runs_by(
    c: &mut Conn,
    tenant: &Tenant,
    job: &str,
    (limit, offset): (u32, u32),
) -> Result<Vec<KeptRun>, StoreError> {
    let sql = format!(
        "SELECT {RUN} {RUNS} WHERE r.tenant = $1 AND r.job = $2 ORDER BY r.updated DESC, r.run LIMIT $3 OFFSET $4"
    );
    let rows = c.query(&sql, args![tenant, job, limit, offset]).await?;
    runs_of(c, tenant, &rows).await
}

/// Runs of a job, newest first.
pub(crate) async fn runs(
    c: &mut Conn,
    tenant: &Tenant,
    (namespace, name): (&str, &str),
    page: (u32, u32),
) -> Result<Page<KeptRun>, StoreError> {
    let key = thing_key(ThingKind::Job, namespace, name);
    let total = count(c, "SELECT COUNT(*) AS n FROM lineage_runs WHERE tenant = $1 AND job = $2", args![tenant, &key]);
    let total = total.await?;
    Ok(Page { items: runs_by(c, tenant, &key, page).await?, total })
}

/// One run.
pub(crate) async fn run(c: &mut Conn, tenant: &Tenant, id: &str) -> Result<Option<KeptRun>, StoreError> {
    let sql = format!("SELECT {RUN} {RUNS} WHERE r.tenant = $1 AND r.run = $2");
    let rows = c.query(&sql, args![tenant, id]).await?;
    Ok(runs_of(c, tenant, &rows).await?.pop())
}

/// Runs by their rows, with their facets.
pub(super) async fn runs_of(c: &mut Conn, tenant: &Tenant, rows: &[Row]) -> Result<Vec<KeptRun>, StoreError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids = rows.iter().map(|row| row.text("run")).collect::<Result<Vec<_>, _>>()?;
    let keys: Vec<String> = ids.iter().map(|id| run_key(id)).collect();
    let mut facets = things::facets(c, tenant, &keys).await?;
    let both = rows.iter().zip(ids.into_iter().zip(keys));
    both.map(|(row, (id, key))| run_of(row, id, facets.remove(&key).unwrap_or_default())).collect()
}

fn run_of(row: &Row, id: String, facets: Vec<(String, String)>) -> Result<KeptRun, StoreError> {
    Ok(KeptRun {
        facets,
        id,
        job: (row.text("namespace")?, row.text("name")?),
        state: row.opt_text("state")?,
        started: row.opt_int("started")?.map(Timestamp),
        ended: row.opt_int("ended")?.map(Timestamp),
        created: at(row, "created")?,
        updated: at(row, "updated")?,
    })
}

/// Events of a time, by their own clock; newest first unless `ascending`. A page of large events ends early.
pub(crate) async fn events(
    c: &mut Conn,
    tenant: &Tenant,
    between: crate::Between,
    (limit, offset): (u32, u32),
) -> Result<Page<KeptEvent>, StoreError> {
    let (after, before) = (between.after, between.before);
    let total = count(
        c,
        "SELECT COUNT(*) AS n FROM lineage_events WHERE tenant = $1 AND at >= $2 AND at < $3",
        args![tenant, after, before],
    );
    let total = total.await?;
    let order = if between.ascending { "ASC" } else { "DESC" };
    let page = |column: &str| {
        format!(
            "SELECT {column} FROM lineage_events WHERE tenant = $1 AND at >= $2 AND at < $3 \
             ORDER BY at {order}, event {order} LIMIT $4 OFFSET $5"
        )
    };
    let sizes = c.query(&page("OCTET_LENGTH(body) AS n"), args![tenant, after, before, limit, offset]).await?;
    let (mut size, mut fits) = (0, 0_i64);
    for row in &sizes {
        fits += 1;
        size += row.int("n")?;
        if size > PAGE {
            break;
        }
    }
    let rows = c.query(&page("body"), args![tenant, after, before, fits, offset]).await?;
    let items = rows.iter().map(|r| Ok(KeptEvent { body: r.text("body")? })).collect::<Result<_, StoreError>>()?;
    Ok(Page { items, total })
}
