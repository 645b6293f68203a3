//! Walks from a node, upwards to what it was made from and downwards to what was made from it.

use crate::error::Result;
use crate::lineage::Lineage;
use crate::node::Node;
use crate::ports::{Around, Detail, Look, Starts};
use crate::{LineageError, ReadLineage};
use mainspring_core::Authorized;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The most steps of a walk.
pub const MAX_DEPTH: u32 = 100;
/// The most nodes of a graph.
pub const MAX_NODES: usize = 1_000;

/// Which way a walk goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To what it was made from.
    Up,
    /// To what was made from it.
    Down,
    /// One walk up and one down: what is beside it stays away.
    Both,
    /// Everything that hangs together with it.
    Around,
}

impl Direction {
    /// The walks, each with whether it goes up and whether it goes down.
    fn walks(self) -> &'static [(bool, bool)] {
        match self {
            Self::Up => &[(true, false)],
            Self::Down => &[(false, true)],
            Self::Both => &[(true, false), (false, true)],
            Self::Around => &[(true, true)],
        }
    }
}

/// Which graph is wanted.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Where the walk begins.
    pub from: Starts,
    /// Which way.
    pub direction: Direction,
    /// Steps; [`MAX_DEPTH`] at most.
    pub depth: u32,
}

/// A node of a graph.
#[derive(Debug, Clone)]
pub struct Found {
    /// The node.
    pub node: Node,
    /// What is shown with it.
    pub detail: Detail,
    /// Steps from where the walk began.
    pub distance: u32,
}

/// What a walk met.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// Nearest first.
    pub nodes: Vec<Found>,
    /// From what was read to what was made from it.
    pub edges: Vec<(Node, Node)>,
    /// Whether there is more: the graph ends at [`MAX_NODES`] nodes, and what has very many neighbours is not looked at whole.
    pub truncated: bool,
}

/// A walk under way.
#[derive(Default)]
struct Walk {
    known: HashMap<Node, Around>,
    distance: BTreeMap<Node, u32>,
    edges: BTreeSet<(Node, Node)>,
    truncated: bool,
}

impl Walk {
    /// Notes that `node` is `distance` steps away; `false` when there is no room for it.
    fn meet(&mut self, node: &Node, distance: u32) -> bool {
        if let Some(before) = self.distance.get_mut(node) {
            *before = distance.min(*before);
            return true;
        }
        let room = self.distance.len() < MAX_NODES;
        if room {
            self.distance.insert(node.clone(), distance);
        }
        self.truncated |= !room;
        room
    }

    fn finish(self) -> Graph {
        let Self { mut known, distance, mut edges, truncated } = self;
        edges.retain(|(from, to)| distance.contains_key(from) && distance.contains_key(to));
        let found = |(node, distance): (Node, u32)| Found {
            detail: known.remove(&node).unwrap_or_default().detail,
            node,
            distance,
        };
        let mut nodes: Vec<Found> = distance.into_iter().map(found).collect();
        nodes.sort_by(|a, b| (a.distance, &a.node).cmp(&(b.distance, &b.node)));
        Graph { nodes, edges: edges.into_iter().collect(), truncated }
    }
}

impl Lineage {
    /// The graph around some nodes. A cycle is walked once.
    ///
    /// # Errors
    /// [`LineageError::NotFound`] when none of the nodes exists; what the house or the database says.
    pub async fn graph(&self, auth: &Authorized<ReadLineage>, ask: &Ask) -> Result<Graph> {
        let look = self.known.look(auth.who());
        let mut walk = Walk { truncated: ask.from.cut, ..Walk::default() };
        let mut exists = false;
        for node in &ask.from.nodes {
            let around = self.around(auth, &*look, node).await?;
            exists |= around.exists;
            walk.known.insert(node.clone(), around);
        }
        if !exists {
            let named = ask.from.nodes.first().map(ToString::to_string).unwrap_or_default();
            return Err(LineageError::NotFound(named));
        }
        for way in ask.direction.walks() {
            self.walk((auth, &*look), ask, *way, &mut walk).await?;
        }
        Ok(walk.finish())
    }

    async fn walk(
        &self,
        (auth, look): (&Authorized<ReadLineage>, &dyn Look),
        ask: &Ask,
        (up, down): (bool, bool),
        walk: &mut Walk,
    ) -> Result<()> {
        let mut seen: BTreeSet<Node> = ask.from.nodes.iter().cloned().collect();
        let mut frontier = ask.from.nodes.clone();
        for step in 0..=ask.depth.min(MAX_DEPTH) {
            let mut next = Vec::new();
            for node in std::mem::take(&mut frontier) {
                if !walk.meet(&node, step) {
                    continue;
                }
                if !walk.known.contains_key(&node) {
                    let around = self.around(auth, look, &node).await?;
                    walk.known.insert(node.clone(), around);
                }
                let Some(around) = walk.known.get(&node) else { continue };
                walk.truncated |= (up && around.cut.0) || (down && around.cut.1);
                let above = around.up.iter().filter(|_| up).map(|n| (n.clone(), node.clone()));
                let below = around.down.iter().filter(|_| down).map(|n| (node.clone(), n.clone()));
                let edges: Vec<(Node, Node)> = above.chain(below).collect();
                for edge in edges {
                    let other = if edge.0 == node { &edge.1 } else { &edge.0 };
                    let last = step == ask.depth.min(MAX_DEPTH);
                    if seen.contains(other) {
                        walk.edges.insert(edge);
                    } else if !last && walk.distance.len() + next.len() < MAX_NODES {
                        seen.insert(other.clone());
                        next.push(other.clone());
                        walk.edges.insert(edge);
                    } else if !last {
                        walk.truncated = true;
                    }
                }
            }
            if next.is_empty() {
                break;
            }
            frontier = next;
        }
        Ok(())
    }
}
