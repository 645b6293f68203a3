//! Why a model was not converted.

use crate::ports::PortError;
use mainspring_core::{ErrorKind, Failure};
use mainspring_engine::EngineError;
use mainspring_store::StoreError;

/// Why a model was not converted or optimised.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConvertError {
    /// The order makes no sense.
    #[error("{0}")]
    Order(String),
    /// No such job.
    #[error("there is no conversion {0:?}; the last few hundred are kept")]
    NoJob(String),
    /// Too many jobs wait.
    #[error("{0} conversions wait already")]
    Busy(usize),
    /// The model cannot be exported, or there is nothing to compare on.
    #[error("{model} cannot be {done}: {reason}")]
    Refused {
        /// The version.
        model: String,
        /// `converted` or `optimised`.
        done: &'static str,
        /// Why, naming the part.
        reason: String,
    },
    /// What was exported answers differently.
    #[error("{model} is not converted, for the answers differ: {reason}")]
    Disagrees {
        /// The version.
        model: String,
        /// Where, and by how much.
        reason: String,
    },
    /// The environment or the program in it failed.
    #[error(transparent)]
    Engine(EngineError),
    /// The model cannot be found, or the result not be registered.
    #[error(transparent)]
    Port(#[from] PortError),
    /// A program left no report, or one that makes no sense.
    #[error("the {program} program {reason}")]
    Program {
        /// Which.
        program: &'static str,
        /// What it did.
        reason: String,
    },
    /// Jobs cannot be read or written down.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file of the job cannot be written or read.
    #[error("{0}")]
    Io(String),
    /// Nobody wants it any more.
    #[error("the conversion was cancelled")]
    Cancelled,
}

impl From<EngineError> for ConvertError {
    fn from(error: EngineError) -> Self {
        match error {
            // Programs are given up when the job is cancelled, and then only.
            EngineError::GivenUp => Self::Cancelled,
            other => Self::Engine(other),
        }
    }
}

impl Failure for ConvertError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Order(_) => ErrorKind::InvalidInput,
            Self::NoJob(_) => ErrorKind::NotFound,
            Self::Busy(_) => ErrorKind::Overloaded,
            Self::Refused { .. } | Self::Disagrees { .. } => ErrorKind::Conflict,
            Self::Cancelled => ErrorKind::Cancelled,
            Self::Engine(e) => e.kind(),
            Self::Port(e) => e.kind,
            Self::Store(e) => e.kind(),
            Self::Program { .. } | Self::Io(_) => ErrorKind::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Busy(_) => Some("wait for one to end, or cancel one".into()),
            Self::Refused { .. } => Some("the model can be deployed as it is: it then runs in Python".into()),
            Self::Disagrees { .. } => Some(
                "deploy it as it is; or, if a larger difference does no harm, allow it with --relative and --absolute"
                    .into(),
            ),
            Self::Engine(e) => e.hint(),
            Self::Port(e) => e.hint.clone(),
            Self::Store(e) => e.hint(),
            Self::Program { .. } => Some("the server's log has what it wrote".into()),
            Self::Order(_) | Self::NoJob(_) | Self::Io(_) | Self::Cancelled => None,
        }
    }
}
