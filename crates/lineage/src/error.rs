//! What can go wrong with lineage.

use crate::ports::PortError;
use mainspring_core::{ErrorKind, Failure};
use mainspring_store::StoreError;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum LineageError {
    /// Nobody has spoken of it.
    #[error("there is no {0:?} in the lineage")]
    NotFound(String),
    /// A text that names no node.
    #[error("{text:?} names no node: {reason}")]
    Node {
        /// The text.
        text: String,
        /// Why not.
        reason: &'static str,
    },
    /// The metadata database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the house knows could not be read.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl Failure for LineageError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Node { .. } => ErrorKind::InvalidInput,
            Self::Store(e) => e.kind(),
            Self::Port(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound(_) => Some("jobs and datasets are listed under /api/v1/namespaces".into()),
            Self::Node { .. } => Some(
                "write dataset:NAMESPACE:NAME, job:NAMESPACE:NAME, run:ID, model:NAME/VERSION, model:NAME@ALIAS, \
                 deployment:NAME or predictions:DEPLOYMENT/MODEL/VERSION"
                    .into(),
            ),
            Self::Store(e) => e.hint(),
            Self::Port(e) => e.hint(),
        }
    }
}

/// Shorthand for this crate's results.
pub type Result<T, E = LineageError> = std::result::Result<T, E>;
