//! A folder on local disk.

mod read;
mod stage;
mod write;

pub(crate) use read::within;

use crate::error::{self, ArtifactError};
use crate::path::{ArtifactPath, STAGING};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The store in a folder. Cheap to clone, so that blocking work can own it.
#[derive(Debug, Clone)]
pub(crate) struct Local {
    /// The canonical path of the root.
    root: Arc<Path>,
}

impl Local {
    /// Opens a folder; makes it when it does not exist, and removes what cut-off uploads left.
    pub(crate) fn open(root: &Path) -> Result<Self, ArtifactError> {
        let shown = root.display().to_string();
        let fail = |e: std::io::Error| error::local("opening the folder", &shown, &e);
        std::fs::create_dir_all(root.join(STAGING)).map_err(fail)?;
        let root: Arc<Path> = root.canonicalize().map_err(fail)?.into();
        stage::sweep(&root.join(STAGING)).map_err(fail)?;
        Ok(Self { root })
    }

    pub(crate) fn location(&self) -> String {
        self.root.display().to_string()
    }

    fn full(&self, path: &ArtifactPath) -> PathBuf {
        if path.is_root() { self.root.to_path_buf() } else { self.root.join(path.as_str()) }
    }

    /// Where `path` really is. A link may lead to another place inside the store, not out of it and
    /// not into the uploads that are not whole yet.
    fn existing(&self, path: &ArtifactPath) -> Result<PathBuf, ArtifactError> {
        let full = self.full(path).canonicalize().map_err(|e| error::local("reading", path.as_str(), &e))?;
        self.inside(path, full)
    }

    fn inside(&self, path: &ArtifactPath, full: PathBuf) -> Result<PathBuf, ArtifactError> {
        if full.starts_with(&self.root) && !full.starts_with(self.root.join(STAGING)) {
            return Ok(full);
        }
        Err(ArtifactError::Escapes { path: path.as_str().to_owned() })
    }

    /// Runs blocking work where it may block.
    async fn blocking<T, F>(&self, path: &ArtifactPath, work: F) -> Result<T, ArtifactError>
    where
        T: Send + 'static,
        F: FnOnce(&Local, &ArtifactPath) -> Result<T, ArtifactError> + Send + 'static,
    {
        let (store, owned) = (self.clone(), path.clone());
        let done = tokio::task::spawn_blocking(move || work(&store, &owned)).await;
        done.unwrap_or_else(|e| {
            Err(ArtifactError::Io { what: "working on", path: path.as_str().to_owned(), reason: e.to_string() })
        })
    }
}
