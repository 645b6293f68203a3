//! What can go wrong in the registry, in words that MLflow's users know.

use mainspring_artifact::ArtifactError;
use mainspring_core::{ErrorKind, Failure};
use mainspring_store::StoreError;

/// A registry operation failed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The request is wrong; the text says which part.
    #[error("{0}")]
    Invalid(String),
    /// The thing named does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The thing to be created exists.
    #[error("{0}")]
    Exists(String),
    /// The thing is in a state that forbids this.
    #[error("{0}")]
    State(String),
    /// The version is frozen, and nothing new may take it.
    #[error("{0}")]
    Frozen(String),
    /// The location belongs to a store that this server does not read.
    #[error("{0}")]
    Elsewhere(String),
    /// The metadata database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The artifact store failed.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
}

impl RegistryError {
    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::Invalid(text.into())
    }
}

impl Failure for RegistryError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_) => ErrorKind::InvalidInput,
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Exists(_) => ErrorKind::AlreadyExists,
            Self::State(_) | Self::Frozen(_) => ErrorKind::Conflict,
            Self::Elsewhere(_) => ErrorKind::Unimplemented,
            Self::Store(e) => e.kind(),
            Self::Artifact(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Store(e) => e.hint(),
            Self::Artifact(e) => e.hint(),
            _ => None,
        }
    }
}

/// Shorthand for this crate's results.
pub type Result<T, E = RegistryError> = std::result::Result<T, E>;
