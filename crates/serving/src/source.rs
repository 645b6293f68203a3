//! The ports that serving needs: where models come from, and where predictions go.

use futures::future::BoxFuture;
use mainspring_core::{ErrorKind, Failure, Name, Prediction, Tenant};
use std::path::PathBuf;
use tokio::sync::watch;

/// A model URI, resolved to files on local disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The registered model's name, or what stands for it in the journal (a run's path, a file).
    pub model: String,
    /// Its version. Another version under the same URI means a version change.
    pub version: String,
    /// The model's folder, or a bare `.onnx` file.
    pub root: PathBuf,
    /// The text of its `MLmodel` file, when it is an MLflow model.
    pub mlmodel: Option<String>,
}

/// Why a model URI cannot be resolved.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// What kind of failure; a retryable kind is tried again by itself.
    pub kind: ErrorKind,
    /// What happened, to which URI.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl Failure for SourceError {
    fn kind(&self) -> ErrorKind {
        self.kind
    }

    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

/// Finds models by URI (`models:/name@alias`, `models:/name/3`, `runs:/id/path`, …) and tells when
/// an answer may have changed.
pub trait ModelSource: Send + Sync + 'static {
    /// Resolves `uri` for `tenant` and brings its files to local disk.
    fn resolve<'a>(&'a self, tenant: &'a Tenant, uri: &'a str) -> BoxFuture<'a, Result<Resolved, SourceError>>;

    /// The newest version that was made from `of` for a faster engine and proven to answer the same, with its
    /// files on local disk; `None` when there is none.
    fn faster<'a>(
        &'a self,
        tenant: &'a Tenant,
        of: &'a Resolved,
    ) -> BoxFuture<'a, Result<Option<Resolved>, SourceError>>;

    /// Why `found`, which `uri` has come to mean without anybody moving it there, may not take the place of what answers;
    /// nothing where it may.
    fn refused(&self, tenant: &Tenant, uri: &str, found: &Resolved) -> Option<String>;

    /// Bumps whenever an alias, a stage or a version changed, so that what is deployed is resolved
    /// again.
    fn changes(&self) -> watch::Receiver<u64>;
}

/// What an answer waits for before it leaves: that its prediction is on disk.
pub type Kept = BoxFuture<'static, Result<(), NotKept>>;

/// Why a prediction is not on disk.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct NotKept {
    /// What kind of failure.
    pub kind: ErrorKind,
    /// What happened.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl Failure for NotKept {
    fn kind(&self) -> ErrorKind {
        self.kind
    }

    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

/// Where predictions go. Called once for each answer and each refusal, on the request's thread.
pub trait PredictionSink: Send + Sync + 'static {
    /// Takes a prediction. Must not block. `None` when answers do not wait.
    fn append(&self, prediction: Prediction) -> Option<Kept>;

    /// The registered model and its version that answered last as this variant of a deployment, as far as is known.
    fn answered_last(&self, tenant: &Tenant, deployment: &Name, variant: &str) -> Option<(String, String)>;
}
