//! Why a request is not answered, or a deployment not made.

use crate::rules::RuleError;
use crate::source::{NotKept, SourceError};
use crate::spec::SpecError;
use crate::table::ColumnError;
use crate::view::State;
use mainspring_core::{ErrorKind, Failure};
use mainspring_engine::{EngineError, SignatureError};
use mainspring_mlmodel::{FilesError, ParamError};
use mainspring_traffic::{RowError, StaleRow};
use std::time::Duration;

/// Why a request is not answered, or a deployment not made.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ServeError {
    /// No deployment of this name.
    #[error("there is no deployment {name:?}{}", .nearest.as_ref().map(|n| format!("; did you mean {n:?}?")).unwrap_or_default())]
    NoDeployment {
        /// Name given.
        name: String,
        /// The nearest name there is.
        nearest: Option<String>,
    },
    /// The deployment does not serve this version.
    #[error("deployment {name:?} does not serve version {version:?}; it serves {serves}")]
    NoVersion {
        /// Name of the deployment.
        name: String,
        /// Version asked for.
        version: String,
        /// What it serves instead.
        serves: String,
    },
    /// The rollout has no variant of this name.
    #[error("deployment {name:?} has no variant {variant:?}; it has {have}")]
    NoVariant {
        /// Name of the deployment.
        name: String,
        /// Variant asked for.
        variant: String,
        /// The names there are.
        have: String,
    },
    /// The variant that the caller names cannot answer now.
    #[error("variant {variant:?} of deployment {name:?} is not ready{}", .reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    VariantNotReady {
        /// Name of the deployment.
        name: String,
        /// The variant.
        variant: String,
        /// Why, for callers who may look at the deployment.
        reason: Option<String>,
    },
    /// What is declared has come to mean a version that may not take the place of what answers.
    #[error("{uri} means {means} by now, and version {answers} goes on: {why}")]
    Refused {
        /// The URI that is declared.
        uri: String,
        /// The version that it means now.
        means: String,
        /// The version that answers.
        answers: String,
        /// Why, and what ends that.
        why: String,
    },
    /// A routing row contradicts itself.
    #[error(transparent)]
    Row(#[from] RowError),
    /// A routing row comes after a newer one.
    #[error(transparent)]
    Stale(#[from] StaleRow),
    /// The deployment has no version that can answer now.
    #[error("deployment {name:?} is {}", .reason.as_ref().map_or_else(|| "not ready".to_owned(), |why| format!("{state}: {why}")))]
    NotReady {
        /// Name of the deployment.
        name: String,
        /// Its state.
        state: State,
        /// Why, for callers who may look at the deployment.
        reason: Option<String>,
    },
    /// The inputs do not fit the model.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The columns do not fit the model.
    #[error(transparent)]
    Column(#[from] ColumnError),
    /// The parameters do not fit the model.
    #[error(transparent)]
    Param(#[from] ParamError),
    /// The tensors of one request are larger than the deployment allows.
    #[error(
        "the request's tensors are {bytes} bytes; deployment {name:?} takes {limit} at most (limits.maxRequestBytes)"
    )]
    TooLarge {
        /// Name of the deployment.
        name: String,
        /// Bytes of the request's tensors.
        bytes: u64,
        /// What is allowed.
        limit: u64,
    },
    /// A request of no rows.
    #[error("the request has no rows")]
    NoRows,
    /// An answer in parts is one of one row.
    #[error("the request has {rows} rows; an answer that comes in parts is one of one row")]
    StreamRows {
        /// Rows of the request.
        rows: usize,
    },
    /// Rows break rules that refuse them.
    #[error("deployment {deployment:?} refuses rows that break its rules: {broken}")]
    Rules {
        /// Name of the deployment.
        deployment: String,
        /// Which rows, what is wrong with them, and by which rule; no values.
        broken: String,
    },
    /// A rule cannot hold the rows that the model takes.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// Too many requests wait already.
    #[error("deployment {name:?} has {in_flight} requests in flight, its limit (limits.maxInFlight)")]
    Overloaded {
        /// Name of the deployment.
        name: String,
        /// Requests in flight.
        in_flight: usize,
        /// When to try again.
        retry_after: Duration,
    },
    /// The deadline passed before there was an answer.
    #[error("the deadline passed after {} ms, before deployment {name:?} could answer", .waited.as_millis())]
    Deadline {
        /// Name of the deployment.
        name: String,
        /// Since the request arrived.
        waited: Duration,
    },
    /// The caller went away. Only the journal sees this one.
    #[error("the caller went away before the answer")]
    Cancelled,
    /// The engine refused or failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The model did not open, and may another time.
    #[error(transparent)]
    NotOpened(EngineError),
    /// The spec is wrong.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The model URI cannot be resolved.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The model's files cannot be opened.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// A name in `journal.redact` that the model does not have.
    #[error("journal.redact names {name:?}, which is no input, column or parameter of the model{}", .nearest.as_ref().map(|n| format!("; did you mean {n:?}?")).unwrap_or_default())]
    Redact {
        /// The name.
        name: String,
        /// The nearest name there is.
        nearest: Option<String>,
    },
    /// The answer was to wait for the disk, and the disk did not take its prediction.
    #[error("the prediction is not in the journal, so its answer is held back: {0}")]
    NotKept(#[from] NotKept),
    /// The process stops.
    #[error("the server is stopping")]
    Stopping,
}

impl Failure for ServeError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoDeployment { .. } | Self::NoVersion { .. } | Self::NoVariant { .. } => ErrorKind::NotFound,
            Self::NotReady { .. } | Self::VariantNotReady { .. } | Self::Stopping => ErrorKind::Unavailable,
            Self::Signature(e) => e.kind(),
            Self::Column(e) => e.kind(),
            Self::Param(e) => e.kind(),
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::NoRows
            | Self::Rules { .. }
            | Self::Rule(_)
            | Self::StreamRows { .. }
            | Self::Redact { .. }
            | Self::Row(_) => ErrorKind::InvalidInput,
            Self::Overloaded { .. } => ErrorKind::Overloaded,
            Self::Deadline { .. } => ErrorKind::DeadlineExceeded,
            Self::Stale(_) | Self::Refused { .. } => ErrorKind::Conflict,
            Self::Cancelled => ErrorKind::Cancelled,
            Self::Engine(e) | Self::NotOpened(e) => e.kind(),
            Self::Spec(e) => e.kind(),
            Self::Source(e) => e.kind(),
            Self::NotKept(e) => e.kind(),
            Self::Files(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoDeployment { .. } => Some("list what is deployed: mainspring get deployment".into()),
            Self::NotReady { state: State::Loading, .. } => Some("try again when it is READY".into()),
            Self::NotReady { reason: None, .. } => {
                Some("who may read the deployment finds the reason in its state".into())
            }
            Self::NotReady { name, reason: Some(_), .. } => {
                Some(format!("see the whole state: mainspring get deployment {name}"))
            }
            Self::VariantNotReady { name, .. } => Some(format!(
                "see what its variants do: mainspring get deployment {name}; or send the request without naming a variant"
            )),
            Self::Rules { deployment, .. } => {
                Some(format!("send rows that keep the rules; mainspring rules {deployment} lists them"))
            }
            Self::Overloaded { .. } => {
                Some("try again later, or raise limits.maxInFlight or engine.instances of the deployment".into())
            }
            Self::Files(e) => e.hint(),
            Self::Source(e) => e.hint(),
            Self::NotKept(e) => e.hint(),
            Self::Engine(e) => e.hint(),
            Self::NotOpened(_) => {
                Some("it is tried again by itself, after 30 s at first and then ever less often".into())
            }
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Overloaded { retry_after, .. } => Some(*retry_after),
            Self::NotReady { state: State::Loading, .. } | Self::Stopping => Some(Duration::from_secs(1)),
            Self::Engine(e) => e.retry_after(),
            _ => None,
        }
    }
}

/// An error with what to do next, in one text.
pub(crate) fn with_hint(error: &impl Failure) -> String {
    match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}
