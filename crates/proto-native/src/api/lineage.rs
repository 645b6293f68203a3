//! The graph of what was made from what.

use super::{Failures, Reply};
use crate::dto::lineage::{GraphEdge, GraphNode, GraphQuery, LineageGraph, LineageWay};
use crate::extract::Params;
use crate::state::NativeState;
use axum::Json;
use axum::extract::State;
use mainspring_core::ErrorKind;
use mainspring_http::{ApiError, Caller};
use mainspring_lineage::{Ask, Direction, Found, MAX_DEPTH, Node, ReadLineage};

/// What stands on a node when nothing better is known.
fn title(node: &Node) -> String {
    match node {
        Node::Dataset { name, .. } | Node::Job { name, .. } | Node::Deployment(name) => name.clone(),
        Node::Run(id) => id.clone(),
        Node::Model { name, version } => format!("{name} version {version}"),
        Node::Serving { deployment, model, version } => format!("{deployment} with {model} version {version}"),
        Node::Predictions { deployment, model, version } => format!("{deployment} by {model} version {version}"),
    }
}

fn shown(found: Found) -> GraphNode {
    let Found { node, detail, distance } = found;
    GraphNode {
        id: node.to_string(),
        kind: node.kind().to_owned(),
        title: detail.title.unwrap_or_else(|| title(&node)),
        distance,
        state: detail.state,
        at: detail.at.map(Into::into),
        predictions: detail.predictions,
    }
}

#[utoipa::path(get, path = "/api/v1/lineage/graph", operation_id = "getLineageGraph", tag = "lineage",
    params(GraphQuery),
    responses((status = 200, description = "What it was made from and what was made from it", body = LineageGraph), Failures))]
pub(crate) async fn get_graph(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Params(query): Params<GraphQuery>,
) -> Reply<LineageGraph> {
    let auth = s.may(&who, ReadLineage)?;
    let depth = match query.depth.unwrap_or(10) {
        n if (1..=MAX_DEPTH).contains(&n) => n,
        n => {
            let message = format!("depth is {n}; it must be between 1 and {MAX_DEPTH}");
            return Err(ApiError::new(ErrorKind::InvalidInput, message));
        }
    };
    let direction = match query.direction {
        LineageWay::Up => Direction::Up,
        LineageWay::Down => Direction::Down,
        LineageWay::Both => Direction::Both,
    };
    let node = s.lineage.find(&auth, &query.node).await?;
    let graph = s.lineage.graph(&auth, &Ask { from: node.clone().into(), direction, depth }).await?;
    let edge = |(from, to): (Node, Node)| GraphEdge { from: from.to_string(), to: to.to_string() };
    Ok(Json(LineageGraph {
        node: node.to_string(),
        nodes: graph.nodes.into_iter().map(shown).collect(),
        edges: graph.edges.into_iter().map(edge).collect(),
        truncated: graph.truncated,
    }))
}
