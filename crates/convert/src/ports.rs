//! What conversions need from the rest of the house: models to read, and a place for what was made.

use crate::order::Task;
use futures::future::BoxFuture;
use mainspring_core::{ErrorKind, Failure, Principal};
use std::path::PathBuf;
use std::sync::Arc;

/// A model version that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The registered model.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its files, on local disk.
    pub root: PathBuf,
    /// A dataset of its run that is in this server's store: a file with its format, and where it is from.
    pub dataset: Option<(PathBuf, &'static str, String)>,
}

impl Found {
    /// `models:/churn/3`.
    pub fn uri(&self) -> String {
        format!("models:/{}/{}", self.name, self.version)
    }
}

/// A model to be registered.
#[derive(Debug, Clone)]
pub struct NewModel {
    /// What it was made from; it becomes the next version of the same model.
    pub from: Found,
    /// The folder of its files.
    pub root: PathBuf,
    /// In a sentence.
    pub description: String,
    /// Its tags.
    pub tags: Vec<(String, String)>,
}

/// Why a model cannot be found or registered.
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

impl Failure for PortError {
    fn kind(&self) -> ErrorKind {
        self.kind
    }

    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

/// Registered models. The server answers it with its registry.
pub trait Models: Send + Sync + 'static {
    /// Finds a version and brings its files to local disk. To optimise, a version that is not ONNX stands for
    /// the newest proven conversion of it. A dataset is only looked for when `dataset` says so, and written
    /// below `scratch`.
    fn find<'a>(
        &'a self,
        who: &'a Arc<Principal>,
        model: &'a str,
        task: &'a Task,
        scratch: Option<&'a std::path::Path>,
    ) -> BoxFuture<'a, Result<Found, PortError>>;

    /// Registers a model as the next version of what it was made from, and says which version that is.
    fn register<'a>(&'a self, who: &'a Arc<Principal>, new: NewModel) -> BoxFuture<'a, Result<String, PortError>>;
}
