//! Why a rollout was not changed or shown.

use crate::machine::{OrderError, RowFailed};
use crate::spec::{LayerError, SpecError};
use mainspring_core::{ErrorKind, Failure};
use mainspring_store::StoreError;
use std::time::Duration;

/// Why a rollout was not changed or shown.
#[derive(Debug, thiserror::Error)]
pub enum RolloutError {
    /// No rollout of this name.
    #[error("there is no rollout {rollout:?}")]
    NotFound {
        /// The name.
        rollout: String,
    },
    /// It runs already.
    #[error("rollout {rollout:?} is {phase}")]
    Active {
        /// The name.
        rollout: String,
        /// Its phase.
        phase: &'static str,
    },
    /// Somebody else changed it at the same moment.
    #[error("rollout {rollout:?} was changed by somebody else at the same moment")]
    Raced {
        /// The name.
        rollout: String,
    },
    /// The state forbids the order.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// The spec.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// Its place in a layer is another's.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// A bug.
    #[error(transparent)]
    Row(#[from] RowFailed),
    /// What another binary wrote cannot be read.
    #[error("the stored {what} cannot be read or written: {reason}")]
    Stored {
        /// What it is.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// Another part of the server did not answer.
    #[error("{0}")]
    Port(#[from] crate::ports::PortError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Failure for RolloutError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Active { .. } | Self::Raced { .. } => ErrorKind::Conflict,
            Self::Order(e) => e.kind(),
            Self::Spec(e) => e.kind(),
            Self::Layer(e) => e.kind(),
            Self::Row(_) | Self::Stored { .. } => ErrorKind::Internal,
            Self::Port(_) => ErrorKind::Unavailable,
            Self::Store(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { .. } => Some("list them: mainspring get rollouts".into()),
            Self::Active { phase: "rolledBack", .. } => Some(
                "its promotion is being reversed; it gives the deployment up once that declares stable again".into(),
            ),
            Self::Active { rollout, .. } => {
                Some(format!("abort it first, or wait for its end: mainspring rollout abort {rollout}"))
            }
            Self::Raced { .. } => Some("look at it and try again".into()),
            Self::Layer(e) => e.hint(),
            Self::Store(e) => e.hint(),
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        if let Self::Store(e) = self { e.retry_after() } else { None }
    }
}
