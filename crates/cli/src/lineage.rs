//! What was made from what, as a tree.

use crate::args::Output;
use crate::client::Server;
use crate::error::CliError;
use crate::output::{cell, either, line, note, time};
use mainspring_core::ErrorKind;
use reqwest::Url;
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};

/// Which way to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To what it was made from.
    Up,
    /// To what was made from it.
    Down,
    /// Both ways.
    Both,
}

/// Prints where a node comes from and where it leads to.
///
/// # Errors
/// [`CliError`] when there is no such node, or the server refuses.
pub async fn run(server: &Server, node: &str, (way, depth): (Way, u32), out: Output) -> Result<(), CliError> {
    let direction = match way {
        Way::Up => "up",
        Way::Down => "down",
        Way::Both => "both",
    };
    let (node, depth) = (named(node), depth.to_string());
    let asked = [("node", node.as_str()), ("direction", direction), ("depth", &depth)];
    // The host is not used: it makes the text of a query.
    let url = Url::parse_with_params("http://here/api/v1/lineage/graph", asked)
        .map_err(|e| CliError::new(ErrorKind::InvalidInput, format!("{node:?} cannot be asked for: {e}")))?;
    let path = format!("{}?{}", url.path(), url.query().unwrap_or_default());
    let graph = server.get(&path).await?;
    either(out, &graph, || {
        for text in tree(&graph, way) {
            line(text);
        }
        if graph["truncated"] == true {
            note("there is more than is shown; take a smaller --depth, or one direction");
        }
    });
    Ok(())
}

/// `churn/3` and `churn@champion` are a model's versions, `churn` alone is a deployment.
fn named(text: &str) -> String {
    const KINDS: [&str; 6] = ["dataset", "job", "run", "model", "deployment", "predictions"];
    match text.split_once(':') {
        Some(("models", rest)) => format!("model:{}", rest.trim_start_matches('/')),
        Some((kind, _)) if KINDS.contains(&kind) => text.to_owned(),
        _ if text.contains('/') || text.contains('@') => format!("model:{text}"),
        _ => format!("deployment:{text}"),
    }
}

/// Neighbours by node.
type Links<'a> = BTreeMap<&'a str, Vec<&'a str>>;

struct Tree<'a> {
    about: BTreeMap<&'a str, String>,
    lines: Vec<String>,
}

/// The lines of the tree.
fn tree(graph: &Value, way: Way) -> Vec<String> {
    let text = |value: &'_ Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let (mut up, mut down): (Links<'_>, Links<'_>) = (BTreeMap::new(), BTreeMap::new());
    for edge in graph["edges"].as_array().into_iter().flatten() {
        let (Some(from), Some(to)) = (edge["from"].as_str(), edge["to"].as_str()) else { continue };
        down.entry(from).or_default().push(to);
        up.entry(to).or_default().push(from);
    }
    let nodes = graph["nodes"].as_array().into_iter().flatten();
    let about = nodes.filter_map(|n| Some((n["id"].as_str()?, about(n)))).collect();
    let start = text(graph, "node");
    let mut tree = Tree { about, lines: Vec::new() };
    tree.lines.push(tree.label(&start));
    for (wanted, head, links) in [(Way::Up, "made from", &up), (Way::Down, "leads to", &down)] {
        if way == Way::Both || way == wanted {
            let nothing = !links.contains_key(start.as_str());
            tree.lines.push(if nothing { format!("{head} nothing known") } else { head.to_owned() });
            tree.below(&start, links, "", &mut HashSet::from([start.clone()]));
        }
    }
    tree.lines
}

/// What stands behind a node's id.
fn about(node: &Value) -> String {
    let mut parts = Vec::new();
    let (id, title) = (cell(&node["id"]), cell(&node["title"]));
    if node["kind"] == "run" && !id.ends_with(&title) {
        parts.push(title);
    }
    if node["state"].is_string() {
        parts.push(cell(&node["state"]));
    }
    if let Some(count) = node["predictions"].as_u64() {
        parts.push(format!("{count} prediction{}", if count == 1 { "" } else { "s" }));
    }
    if node["at"].is_string() {
        parts.push(time(&node["at"]));
    }
    parts.join(", ")
}

impl Tree<'_> {
    fn label(&self, id: &str) -> String {
        match self.about.get(id).filter(|about| !about.is_empty()) {
            Some(about) => format!("{id}  ({about})"),
            None => id.to_owned(),
        }
    }

    fn below(&mut self, id: &str, links: &Links<'_>, indent: &str, seen: &mut HashSet<String>) {
        let next = links.get(id).cloned().unwrap_or_default();
        for (at, child) in next.iter().enumerate() {
            let last = at + 1 == next.len();
            let known = !seen.insert((*child).to_owned());
            let more = if known && links.contains_key(child) { " (above)" } else { "" };
            self.lines.push(format!("{indent}{} {}{more}", if last { "└─" } else { "├─" }, self.label(child)));
            if !known {
                self.below(child, links, &format!("{indent}{}", if last { "   " } else { "│  " }), seen);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_short_name_is_a_version_or_a_deployment() {
        for (text, node) in [
            ("churn/3", "model:churn/3"),
            ("churn@champion", "model:churn@champion"),
            ("models:/churn/3", "model:churn/3"),
            ("churn", "deployment:churn"),
            ("run:abc", "run:abc"),
            ("dataset:s3://b:a/b", "dataset:s3://b:a/b"),
        ] {
            assert_eq!(named(text), node);
        }
    }

    #[test]
    fn a_graph_is_drawn_once_even_with_a_cycle() {
        let node = |id: &str, more: Value| {
            let mut node = json!({ "id": id, "kind": "job", "title": id });
            node.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            node
        };
        let edge = |from: &str, to: &str| json!({ "from": from, "to": to });
        let graph = json!({
            "node": "model:m/1",
            "nodes": [
                node("model:m/1", json!({})),
                node("run:r", json!({ "kind": "run", "title": "brave-fox", "state": "FINISHED" })),
                node("dataset:d", json!({ "at": "2026-01-31T12:00:00Z" })),
                node("predictions:p", json!({ "predictions": 1 })),
            ],
            "edges": [
                edge("dataset:d", "run:r"), edge("run:r", "model:m/1"), edge("run:r", "dataset:d"),
                edge("model:m/1", "predictions:p"),
            ],
        });
        assert_eq!(
            tree(&graph, Way::Both),
            [
                "model:m/1",
                "made from",
                "└─ run:r  (brave-fox, FINISHED)",
                "   └─ dataset:d  (2026-01-31 12:00)",
                "      └─ run:r  (brave-fox, FINISHED) (above)",
                "leads to",
                "└─ predictions:p  (1 prediction)",
            ]
        );
        assert_eq!(tree(&json!({ "node": "x", "nodes": [], "edges": [] }), Way::Up), ["x", "made from nothing known"]);
    }
}
