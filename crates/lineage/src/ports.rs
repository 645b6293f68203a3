//! What lineage needs from the rest of the house: what is known there already.

use crate::event::ThingKind;
use crate::node::Node;
use futures::future::BoxFuture;
use mainspring_core::{ErrorKind, Failure, Principal, Timestamp};
use std::sync::Arc;

/// Why what is known could not be read.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct PortError {
    /// What kind of failure.
    pub kind: ErrorKind,
    /// What happened, to what.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl PortError {
    /// A failure of another domain.
    pub fn of(e: &dyn Failure) -> Self {
        Self { kind: e.kind(), message: e.to_string(), hint: e.hint() }
    }
}

impl Failure for PortError {
    fn kind(&self) -> ErrorKind {
        self.kind
    }

    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

/// What is shown with a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Detail {
    /// How people call it, when its id does not say.
    pub title: Option<String>,
    /// How it stands.
    pub state: Option<String>,
    /// When it was made or last changed.
    pub at: Option<Timestamp>,
    /// Predictions made.
    pub predictions: Option<u64>,
    /// The experiment of a run.
    pub experiment: Option<String>,
}

/// A node with what is next to it.
#[derive(Debug, Clone, Default)]
pub struct Around {
    /// Whether there is such a thing.
    pub exists: bool,
    /// What is shown with it.
    pub detail: Detail,
    /// What it was made from.
    pub up: Vec<Node>,
    /// What was made from it.
    pub down: Vec<Node>,
    /// Whether there is more above, and below, than was looked at.
    pub cut: (bool, bool),
}

/// Where a walk begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Starts {
    /// These nodes.
    pub nodes: Vec<Node>,
    /// Whether there are more of them than a walk begins from.
    pub cut: bool,
}

impl From<Node> for Starts {
    fn from(node: Node) -> Self {
        Self { nodes: vec![node], cut: false }
    }
}

/// A job or a dataset that is made here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// Its name in the namespace [`crate::NAMESPACE`].
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
}

/// What the house knows itself.
pub trait Known: Send + Sync + 'static {
    /// Looks around in the name of `who`, for one question: what is costly to find out is found out once for all the
    /// nodes of its answer.
    fn look<'a>(&'a self, who: &'a Arc<Principal>) -> Box<dyn Look + 'a>;

    /// The version that an alias of a model means.
    fn alias<'a>(
        &'a self,
        who: &'a Arc<Principal>,
        model: &'a str,
        alias: &'a str,
    ) -> BoxFuture<'a, Result<Node, PortError>>;

    /// The newest runs of an experiment; none when there is no experiment of this name.
    fn runs<'a>(&'a self, who: &'a Arc<Principal>, experiment: &'a str) -> BoxFuture<'a, Result<Starts, PortError>>;

    /// Everything of one kind that is made here, by name.
    fn own<'a>(&'a self, who: &'a Arc<Principal>, kind: ThingKind) -> BoxFuture<'a, Result<Vec<Own>, PortError>>;

    /// The one of them with this name.
    fn one<'a>(
        &'a self,
        who: &'a Arc<Principal>,
        kind: ThingKind,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<Own>, PortError>>;
}

/// One look at what the house knows.
pub trait Look: Send + Sync {
    /// A node with what the house knows to be next to it. A node that it does not know does not exist; datasets
    /// outside are known as far as our runs read them.
    fn around<'a>(&'a self, node: &'a Node) -> BoxFuture<'a, Result<Around, PortError>>;
}
