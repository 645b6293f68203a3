//! Why a personalizer does not answer.

use crate::features::FeatureError;
use crate::ports::PortError;
use mainspring_core::{ErrorKind, Failure, TensorError};
use mainspring_stats::contextual::ContextualError;
use mainspring_store::StoreError;

/// Why a personalizer does not answer.
#[derive(Debug, thiserror::Error)]
pub enum PersonalizeError {
    /// No such personalizer.
    #[error("there is no personalizer {0:?}")]
    Unknown(String),
    /// A request that makes no choice.
    #[error("{0}")]
    Request(String),
    /// Features that cannot be used.
    #[error(transparent)]
    Features(#[from] FeatureError),
    /// Settings that are no policy.
    #[error(transparent)]
    Policy(#[from] ContextualError),
    /// An event that is not waited for.
    #[error("no choice {0:?} waits to be shown: it was never made here, or its reward is in already")]
    NotWaiting(String),
    /// Asked before it was ready.
    #[error("personalizer {name:?} is not ready: {reason}")]
    NotReady {
        /// Which.
        name: String,
        /// Why.
        reason: String,
    },
    /// The log.
    #[error(transparent)]
    Log(PortError),
    /// What is asked does not fit into the journal.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was stored is no model.
    #[error("what personalizer {name:?} has learnt cannot be read again: {why}")]
    Stored {
        /// Whose.
        name: String,
        /// Why.
        why: String,
    },
}

impl Failure for PersonalizeError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Unknown(_) | Self::NotWaiting(_) => ErrorKind::NotFound,
            Self::Request(_) | Self::Features(_) => ErrorKind::InvalidInput,
            Self::Store(e) => e.kind(),
            Self::Log(e) => e.kind,
            Self::NotReady { .. } => ErrorKind::Unavailable,
            Self::Policy(_) | Self::Tensor(_) | Self::Stored { .. } => ErrorKind::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown(_) => Some("declare one: mainspring apply -f, with kind: Personalizer".into()),
            Self::Store(e) => e.hint(),
            Self::Log(e) => e.hint.clone(),
            _ => None,
        }
    }
}
