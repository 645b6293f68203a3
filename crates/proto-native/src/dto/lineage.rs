//! The graph of what was made from what.

use super::Time;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which way to walk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LineageWay {
    /// To what it was made from.
    Up,
    /// To what was made from it.
    Down,
    /// Both ways.
    #[default]
    Both,
}

/// Which graph.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct GraphQuery {
    /// Where to begin: `model:NAME/VERSION`, `model:NAME@ALIAS`, `run:ID`, `deployment:NAME`,
    /// `predictions:DEPLOYMENT/MODEL/VERSION`, `dataset:NAMESPACE:NAME` or `job:NAMESPACE:NAME`.
    pub node: String,
    /// Which way; both when it is left out.
    #[serde(default)]
    #[param(inline)]
    pub direction: LineageWay,
    /// Steps at most; 1 to 100, 10 when it is left out.
    #[param(minimum = 1, maximum = 100)]
    pub depth: Option<u32>,
}

/// One node.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GraphNode {
    /// Its id.
    pub id: String,
    /// `dataset`, `job`, `run`, `model`, `deployment` or `predictions`.
    pub kind: String,
    /// How people call it.
    pub title: String,
    /// Steps from where the walk began.
    pub distance: u32,
    /// How it stands, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// When it was made or last changed, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
    /// Predictions in the journal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predictions: Option<u64>,
}

/// From what was read to what was made from it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct GraphEdge {
    /// What was read.
    pub from: String,
    /// What was made.
    pub to: String,
}

/// A graph.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LineageGraph {
    /// Where the walk began.
    pub node: String,
    /// Nearest first.
    pub nodes: Vec<GraphNode>,
    /// Between these nodes.
    pub edges: Vec<GraphEdge>,
    /// Whether there is more than is shown.
    pub truncated: bool,
}
