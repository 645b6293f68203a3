//! What can go wrong here.

use mainspring_core::{ErrorKind, Failure};
use std::path::PathBuf;

/// A failure of the journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A file or folder could not be read or written.
    #[error("cannot {what} {path}: {source}", path = path.display())]
    Io {
        /// What was tried: `open`, `append to`, …
        what: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The event was not stored: the disk does not take it.
    #[error("the event is not on disk: {why}")]
    NotDurable {
        /// What the writer met.
        why: String,
    },
    /// The queue is full and the event was only counted.
    #[error("the journal's queue is full: the event was counted but not stored")]
    Full,
    /// Events are in the log but not yet in the artifact store.
    #[error("events are in the log but not sealed: {why}")]
    NotSealed {
        /// What the sealer met; it retries by itself.
        why: String,
    },
    /// The journal was closed.
    #[error("the journal is closed")]
    Closed,
    /// Bytes of a segment or sidecar are not what they should be.
    #[error("{path} is damaged: {why}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Another process has this journal folder open.
    #[error("the journal folder {path} is in use by another process", path = path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// Feedback by a caller's own id that several predictions carry.
    #[error("{count} predictions of deployment {deployment:?} in the last 30 days carry your id {id:?}")]
    AmbiguousClientId {
        /// The deployment.
        deployment: String,
        /// The caller's id.
        id: String,
        /// How many predictions carry it.
        count: i64,
    },
    /// A feedback that cannot be taken as it is.
    #[error("feedback {index}: {why}")]
    InvalidFeedback {
        /// Which one of those sent, from 0.
        index: usize,
        /// What is wrong.
        why: String,
    },
    /// Arrow or Parquet refused data.
    #[error("cannot {what}: {source}")]
    Arrow {
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: arrow::error::ArrowError,
    },
    /// The artifact store failed.
    #[error("cannot {what} sealed events: {source}")]
    Artifact {
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: mainspring_artifact::ArtifactError,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] mainspring_store::StoreError),
}

impl JournalError {
    pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }

    pub(crate) fn arrow(what: &'static str) -> impl FnOnce(arrow::error::ArrowError) -> Self {
        move |source| Self::Arrow { what, source }
    }

    pub(crate) fn parquet(what: &'static str) -> impl FnOnce(parquet::errors::ParquetError) -> Self {
        move |source| Self::Arrow { what, source: source.into() }
    }

    pub(crate) fn artifact(what: &'static str) -> impl FnOnce(mainspring_artifact::ArtifactError) -> Self {
        move |source| Self::Artifact { what, source }
    }
}

impl Failure for JournalError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => ErrorKind::Unavailable,
            Self::Io { .. } | Self::Damaged { .. } | Self::Arrow { .. } => ErrorKind::Internal,
            Self::NotDurable { .. } | Self::NotSealed { .. } | Self::Closed => ErrorKind::Unavailable,
            Self::Full => ErrorKind::Overloaded,
            Self::InUse { .. } | Self::AmbiguousClientId { .. } => ErrorKind::Conflict,
            Self::InvalidFeedback { .. } => ErrorKind::InvalidInput,
            Self::Artifact { source, .. } => source.kind(),
            Self::Store(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Some("free space on the journal's disk or shorten its retention".into())
            }
            Self::NotDurable { .. } => Some("free space on the journal's disk; the writer retries by itself".into()),
            Self::Full => Some("retry later, or raise the journal's memory limit".into()),
            Self::InUse { .. } => Some("stop the other process, or choose another data folder".into()),
            Self::AmbiguousClientId { .. } => Some(
                "send feedback by the prediction id that the answer carried, or use an id once per deployment".into(),
            ),
            Self::Artifact { source, .. } => source.hint(),
            Self::Store(e) => e.hint(),
            _ => None,
        }
    }
}
