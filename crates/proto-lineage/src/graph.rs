//! The graph in the shape of Marquez, which knows jobs and datasets only: our runs are shown as one job for each
//! experiment.

use crate::LineageState;
use crate::marquez::{Asked, asked, may};
use crate::shape::{DatasetShape, Id, JobShape};
use axum::Json;
use axum::extract::State;
use mainspring_core::{Authorized, ErrorKind};
use mainspring_http::{ApiError, Caller};
use mainspring_lineage::{
    Ask, Direction, Found, Graph, KeptThing, LineageError, MAX_DEPTH, NAMESPACE, Node, ReadLineage, ThingKind,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GraphQuery {
    node_id: Option<String>,
    depth: Option<u32>,
}

#[derive(Serialize)]
pub(crate) struct GraphShape {
    graph: Vec<NodeShape>,
    /// Beside what Marquez says: whether there is more than this.
    truncated: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeShape {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    data: Data,
    in_edges: BTreeSet<EdgeShape>,
    out_edges: BTreeSet<EdgeShape>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Data {
    Job(Box<JobShape>),
    Dataset(Box<DatasetShape>),
}

#[derive(Clone, Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct EdgeShape {
    origin: String,
    destination: String,
}

/// What a node is outside.
fn outside(found: &Found) -> Option<(ThingKind, String, String)> {
    match &found.node {
        Node::Run(_) => {
            let experiment = found.detail.experiment.as_ref()?;
            Some((ThingKind::Job, NAMESPACE.to_owned(), format!("experiments/{experiment}")))
        }
        node => node.thing(),
    }
}

fn id((kind, namespace, name): &(ThingKind, String, String)) -> String {
    format!("{}:{namespace}:{name}", kind.as_str())
}

pub(crate) async fn lineage(
    State(s): State<LineageState>,
    Caller(who): Caller,
    query: Asked<GraphQuery>,
) -> Result<Json<GraphShape>, ApiError> {
    let auth = may(&s, &who)?;
    let query = asked(query)?;
    let text = query.node_id.ok_or_else(|| ApiError::new(ErrorKind::InvalidInput, "nodeId is missing"))?;
    let node = s.lineage.find(&auth, &text).await?;
    // Marquez counts jobs: between two of them is a dataset.
    let depth = query.depth.unwrap_or(20).saturating_mul(2);
    if depth > MAX_DEPTH {
        let message = format!("depth is {}; it must be at most {}", depth / 2, MAX_DEPTH / 2);
        return Err(ApiError::new(ErrorKind::InvalidInput, message));
    }
    let from = s.lineage.starts(&auth, node).await?;
    let graph = s.lineage.graph(&auth, &Ask { from, direction: Direction::Around, depth }).await?;
    let truncated = graph.truncated;
    Ok(Json(GraphShape { graph: shaped(&s, &auth, graph).await?, truncated }))
}

async fn shaped(
    s: &LineageState,
    auth: &Authorized<ReadLineage>,
    graph: Graph,
) -> Result<Vec<NodeShape>, LineageError> {
    let names: HashMap<&Node, String> = graph.nodes.iter().filter_map(|f| Some((&f.node, id(&outside(f)?)))).collect();
    let (mut nodes, mut ids) = (BTreeMap::<String, NodeShape>::new(), HashMap::<String, Id>::new());
    for found in &graph.nodes {
        let Some(named) = outside(found) else { continue };
        let id = id(&named);
        if !nodes.contains_key(&id) {
            ids.insert(id.clone(), Id { namespace: named.1.clone(), name: named.2.clone() });
            nodes.insert(id.clone(), node(s, auth, found, (id, named)).await?);
        }
    }
    let mut edges: BTreeSet<(String, String)> = BTreeSet::new();
    for (from, to) in &graph.edges {
        if let (Some(from), Some(to)) = (names.get(from), names.get(to)) {
            edges.insert((from.clone(), to.clone()));
        }
    }
    for (origin, destination) in edges {
        let edge = EdgeShape { origin, destination };
        if let Some(from) = nodes.get_mut(&edge.origin) {
            if let Data::Job(job) = &mut from.data {
                note(&mut job.outputs, ids.get(&edge.destination));
            }
            from.out_edges.insert(edge.clone());
        }
        if let Some(to) = nodes.get_mut(&edge.destination) {
            if let Data::Job(job) = &mut to.data {
                note(&mut job.inputs, ids.get(&edge.origin));
            }
            to.in_edges.insert(edge);
        }
    }
    Ok(nodes.into_values().collect())
}

/// Adds a dataset to those of a job, unless events named it.
fn note(datasets: &mut Vec<Id>, named: Option<&Id>) {
    if let Some(named) = named.filter(|n| !datasets.contains(n)) {
        datasets.push(named.clone());
    }
}

async fn node(
    s: &LineageState,
    auth: &Authorized<ReadLineage>,
    found: &Found,
    (id, (kind, namespace, name)): (String, (ThingKind, String, String)),
) -> Result<NodeShape, LineageError> {
    // Ours have all that is known of them in the graph already.
    let ours = namespace == NAMESPACE;
    let kept = if ours { None } else { s.lineage.thing(auth, (kind, &namespace, &name)).await.ok() };
    let at = found.detail.at.unwrap_or_default();
    let thing = kept.unwrap_or(KeptThing {
        kind,
        namespace,
        name,
        created: at,
        updated: at,
        facets: Vec::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        latest: None,
    });
    let (shown, data) = match kind {
        ThingKind::Job => ("JOB", Data::Job(Box::new(thing.into()))),
        ThingKind::Dataset => ("DATASET", Data::Dataset(Box::new(thing.into()))),
    };
    Ok(NodeShape { id, kind: shown, data, in_edges: BTreeSet::new(), out_edges: BTreeSet::new() })
}
