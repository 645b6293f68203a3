//! What can go wrong with artifacts.

use crate::path::PathError;
use mainspring_core::{ErrorKind, Failure};

/// A failure of the artifact store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArtifactError {
    /// The text is no path inside the store.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Nothing is there.
    #[error("there is no artifact at {path:?}")]
    NotFound {
        /// The path asked for.
        path: String,
    },
    /// A folder is where a file is needed, or a file where a folder is needed.
    #[error("{path:?} cannot be used so: {reason}")]
    WrongShape {
        /// The path asked for.
        path: String,
        /// What is there.
        reason: &'static str,
    },
    /// A link inside the store leads out of it.
    #[error("{path:?} leads out of the artifact store")]
    Escapes {
        /// The path asked for.
        path: String,
    },
    /// The range asked for is not inside the file.
    #[error("bytes {start} to {end} are not inside {path:?}, which has {size}")]
    Range {
        /// The path asked for.
        path: String,
        /// The first byte asked for.
        start: u64,
        /// The byte after the last.
        end: u64,
        /// The size of the file in bytes.
        size: u64,
    },
    /// The disk is full; nothing of the upload was kept.
    #[error("the disk of the artifact store is full: {path:?} was not stored")]
    Full {
        /// What was being stored.
        path: String,
    },
    /// What was being uploaded broke off; nothing of it was kept.
    #[error("the upload of {path:?} broke off: {reason}")]
    Upload {
        /// What was being stored.
        path: String,
        /// Why, as far as is known.
        reason: String,
    },
    /// The object store does not answer.
    #[error("the artifact store {store} does not answer: {reason}")]
    Unavailable {
        /// Which one.
        store: String,
        /// Why, as far as is known.
        reason: String,
    },
    /// The object store, or the file system, refuses this process.
    #[error("the artifact store {store} refuses access: {reason}")]
    Refused {
        /// Which one.
        store: String,
        /// Its own words.
        reason: String,
    },
    /// The address names no store that this binary knows.
    #[error("{url:?} names no artifact store: {reason}")]
    Settings {
        /// What was given.
        url: String,
        /// Why it cannot be used.
        reason: String,
    },
    /// Reading or writing failed for a reason not listed here.
    #[error("{what} {path:?} failed: {reason}")]
    Io {
        /// What was done.
        what: &'static str,
        /// To what.
        path: String,
        /// The operating system's or the store's words.
        reason: String,
    },
}

impl Failure for ArtifactError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Path(_) | Self::Escapes { .. } | Self::Range { .. } | Self::Upload { .. } | Self::Settings { .. } => {
                ErrorKind::InvalidInput
            }
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::WrongShape { .. } => ErrorKind::Conflict,
            Self::Full { .. } | Self::Unavailable { .. } => ErrorKind::Unavailable,
            Self::Refused { .. } | Self::Io { .. } => ErrorKind::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Full { .. } => "free space on the disk that holds the artifacts, then send the request again",
            Self::Unavailable { .. } => "check that the object store can be reached from this machine, then retry",
            Self::Refused { .. } => "check the folder's permissions, or the AWS_* credentials and the bucket's policy",
            Self::Settings { .. } => "give a folder, file:///PATH or s3://BUCKET/PREFIX",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// What was to be stored could not be read.
pub(crate) fn unread(path: &crate::path::ArtifactPath, error: &std::io::Error) -> ArtifactError {
    ArtifactError::Upload { path: path.as_str().to_owned(), reason: error.to_string() }
}

/// An I/O error on the local disk, in this crate's words.
pub(crate) fn local(what: &'static str, path: &str, error: &std::io::Error) -> ArtifactError {
    use std::io::ErrorKind as Io;
    let path = path.to_owned();
    match error.kind() {
        Io::NotFound => ArtifactError::NotFound { path },
        Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => ArtifactError::Full { path },
        Io::IsADirectory | Io::DirectoryNotEmpty => ArtifactError::WrongShape { path, reason: "it is a folder" },
        Io::NotADirectory => ArtifactError::WrongShape { path, reason: "a file is in the place of a folder" },
        Io::AlreadyExists => ArtifactError::WrongShape { path, reason: "something is in its place" },
        Io::PermissionDenied | Io::ReadOnlyFilesystem => {
            ArtifactError::Refused { store: "folder".to_owned(), reason: format!("{what} {path:?}: {error}") }
        }
        _ => ArtifactError::Io { what, path, reason: error.to_string() },
    }
}
