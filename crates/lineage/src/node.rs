//! The nodes of the graph, and the names they have outside.
//!
//! Outside there are jobs and datasets only. What this house makes has names in the namespace [`NAMESPACE`]: a model
//! version is the dataset `models/churn/3`, a deployment the job `deployments/churn`, what it answered the dataset
//! `predictions/churn/churn/3`. Whoever names one of these in an event means our node.

use crate::error::{LineageError, Result};
use crate::event::ThingKind;
use std::fmt;

/// The namespace of everything that is made here.
pub const NAMESPACE: &str = "mainspring";

/// One node.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Node {
    /// Something that is read or written.
    Dataset {
        /// Where the name is unique.
        namespace: String,
        /// The name.
        name: String,
    },
    /// Something that runs elsewhere, or a conversion or a prediction over a file here.
    Job {
        /// Where the name is unique.
        namespace: String,
        /// The name.
        name: String,
    },
    /// A training run of ours.
    Run(String),
    /// A model version.
    Model {
        /// The registered model.
        name: String,
        /// Its version.
        version: String,
    },
    /// A deployment, with whatever version.
    Deployment(String),
    /// A deployment while it answers with one version: what that version made is no other one's.
    Serving {
        /// The deployment.
        deployment: String,
        /// The model that answers.
        model: String,
        /// Its version.
        version: String,
    },
    /// What a deployment answered with one version.
    Predictions {
        /// The deployment.
        deployment: String,
        /// The model that answered.
        model: String,
        /// Its version.
        version: String,
    },
}

/// `a/b/c` as `a`, `b`, `c`, where `b` may have slashes.
fn ends(text: &str) -> Option<(&str, &str, &str)> {
    let (first, rest) = text.split_once('/')?;
    let (middle, last) = rest.rsplit_once('/')?;
    [first, middle, last].iter().all(|p| !p.is_empty()).then_some((first, middle, last))
}

fn model(text: &str) -> Option<Node> {
    let (name, version) = text.rsplit_once('/')?;
    let whole = !name.is_empty() && !version.is_empty();
    whole.then(|| Node::Model { name: name.into(), version: version.into() })
}

fn predictions(text: &str) -> Option<Node> {
    let (deployment, model, version) = ends(text)?;
    Some(Node::Predictions { deployment: deployment.into(), model: model.into(), version: version.into() })
}

fn deployment(text: &str) -> Option<Node> {
    if !text.contains('/') {
        return (!text.is_empty()).then(|| Node::Deployment(text.into()));
    }
    let (deployment, model, version) = ends(text)?;
    Some(Node::Serving { deployment: deployment.into(), model: model.into(), version: version.into() })
}

impl Node {
    /// The node of a dataset, which may be one of ours.
    pub fn dataset(namespace: &str, name: &str) -> Self {
        let ours = (namespace == NAMESPACE).then(|| match name.split_once('/')? {
            ("models", rest) => model(rest),
            ("predictions", rest) => predictions(rest),
            _ => None,
        });
        ours.flatten().unwrap_or_else(|| Self::Dataset { namespace: namespace.into(), name: name.into() })
    }

    /// The node of a job, which may be one of ours.
    pub fn job(namespace: &str, name: &str) -> Self {
        match name.strip_prefix("deployments/") {
            Some(deployment) if namespace == NAMESPACE && !deployment.is_empty() => Self::Deployment(deployment.into()),
            _ => Self::Job { namespace: namespace.into(), name: name.into() },
        }
    }

    /// The node of a job or a dataset.
    pub fn of(kind: ThingKind, namespace: &str, name: &str) -> Self {
        match kind {
            ThingKind::Job => Self::job(namespace, name),
            ThingKind::Dataset => Self::dataset(namespace, name),
        }
    }

    /// Kind, namespace and name outside. A run has none: outside it is a run of its experiment's job.
    pub fn thing(&self) -> Option<(ThingKind, String, String)> {
        let ours = |kind, name: String| Some((kind, NAMESPACE.to_owned(), name));
        match self {
            Self::Dataset { namespace, name } => Some((ThingKind::Dataset, namespace.clone(), name.clone())),
            Self::Job { namespace, name } => Some((ThingKind::Job, namespace.clone(), name.clone())),
            Self::Run(_) => None,
            Self::Model { name, version } => ours(ThingKind::Dataset, format!("models/{name}/{version}")),
            Self::Deployment(name) | Self::Serving { deployment: name, .. } => {
                ours(ThingKind::Job, format!("deployments/{name}"))
            }
            Self::Predictions { deployment, model, version } => {
                ours(ThingKind::Dataset, format!("predictions/{deployment}/{model}/{version}"))
            }
        }
    }

    /// What kind of node it is.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Dataset { .. } => "dataset",
            Self::Job { .. } => "job",
            Self::Run(_) => "run",
            Self::Model { .. } => "model",
            Self::Deployment(_) | Self::Serving { .. } => "deployment",
            Self::Predictions { .. } => "predictions",
        }
    }

    /// What `text` may name, likeliest first. Namespaces have colons (`s3://bucket`, `postgres://host:5432`) and
    /// names too, so there may be several.
    ///
    /// # Errors
    /// [`LineageError::Node`] when it is of no form that names a node.
    pub fn candidates(text: &str) -> Result<Vec<Self>> {
        let wrong = |reason| LineageError::Node { text: text.to_owned(), reason };
        let (kind, rest) = text.split_once(':').ok_or_else(|| wrong("it has no kind in front"))?;
        let one = |node: Option<Self>, reason| node.map(|n| vec![n]).ok_or_else(|| wrong(reason));
        match kind {
            "dataset" => Ok(splits(rest).into_iter().map(|(ns, name)| Self::dataset(ns, name)).collect()),
            "job" => Ok(splits(rest).into_iter().map(|(ns, name)| Self::job(ns, name)).collect()),
            "run" => one(run(rest), "a run is 32 hexadecimal digits, or a UUID"),
            "model" => one(model(rest), "a model is followed by a slash and its version"),
            "deployment" => one(deployment(rest), "a deployment is followed by nothing, or by a model and its version"),
            "predictions" => one(predictions(rest), "it needs a deployment, a model and a version"),
            _ => Err(wrong("it begins with no kind of node")),
        }
        .and_then(|nodes| if nodes.is_empty() { Err(wrong("it needs a namespace and a name")) } else { Ok(nodes) })
    }
}

/// A run's id as runs have it here, also where a UUID with hyphens is given.
fn run(text: &str) -> Option<Node> {
    let id: String = text.chars().filter(|c| *c != '-').map(|c| c.to_ascii_lowercase()).collect();
    (id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())).then_some(Node::Run(id))
}

/// Every way to cut `namespace:name`: first at colons that are not part of `scheme://` or `:port`, then at the others.
fn splits(text: &str) -> Vec<(&str, &str)> {
    // A text with very many colons is nobody's name.
    const MOST: usize = 16;
    let mut cuts: Vec<(bool, &str, &str)> = text
        .match_indices(':')
        .map(|(at, _)| (&text[..at], &text[at + 1..]))
        .filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty())
        .map(|(namespace, name)| {
            (name.starts_with("//") || name.starts_with(|c: char| c.is_ascii_digit()), namespace, name)
        })
        .take(MOST)
        .collect();
    cuts.sort_by_key(|(address, ..)| *address);
    cuts.into_iter().map(|(_, namespace, name)| (namespace, name)).collect()
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dataset { namespace, name } => write!(f, "dataset:{namespace}:{name}"),
            Self::Job { namespace, name } => write!(f, "job:{namespace}:{name}"),
            Self::Run(id) => write!(f, "run:{id}"),
            Self::Model { name, version } => write!(f, "model:{name}/{version}"),
            Self::Deployment(name) => write!(f, "deployment:{name}"),
            Self::Serving { deployment, model, version } => write!(f, "deployment:{deployment}/{model}/{version}"),
            Self::Predictions { deployment, model, version } => {
                write!(f, "predictions:{deployment}/{model}/{version}")
            }
        }
    }
}
