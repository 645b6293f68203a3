//! Why a monitor or a profile was not changed or shown.

use super::ports::PortError;
use super::spec::SpecError;
use mainspring_core::{ErrorKind, Failure};
use mainspring_store::StoreError;
use std::time::Duration;

/// What another part of the server cannot do at the moment is asked for again after so long.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// What follows in a sentence.
fn after(more: Option<&str>) -> String {
    more.map(|more| format!("; {more}")).unwrap_or_default()
}

/// Why a monitor or a profile was not changed or shown.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// No monitor of this name.
    #[error("there is no monitor {0:?}")]
    NotFound(String),
    /// The version has no profile.
    #[error("no profile is saved with version {version} of {model:?}{}", after(.unused.as_deref()))]
    NoProfile {
        /// The registered model.
        model: String,
        /// Its version.
        version: String,
        /// Why none was made of what it was trained on, where its run names that.
        unused: Option<String>,
    },
    /// The version names no file of predictions with labels.
    #[error("version {version} of {model:?} names no file of predictions with labels")]
    NoReference {
        /// The registered model.
        model: String,
        /// Its version.
        version: String,
    },
    /// What was sent is no profile.
    #[error("this is no profile: {0}")]
    Profile(String),
    /// Somebody else wrote it at the same moment.
    #[error("monitor {0:?} was written by another server at the same moment")]
    Raced(String),
    /// The spec.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// What another binary wrote cannot be read.
    #[error("the stored {what} cannot be read or written: {reason}")]
    Stored {
        /// What it is.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// Looking at it panicked.
    #[error("looking at it stopped at a bug of the server: {0}")]
    Bug(String),
    /// Another part of the server did not answer.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Failure for WatchError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(_) | Self::NoProfile { .. } | Self::NoReference { .. } => ErrorKind::NotFound,
            Self::Profile(_) | Self::Spec(_) => ErrorKind::InvalidInput,
            Self::Raced(_) => ErrorKind::Conflict,
            Self::Stored { .. } | Self::Bug(_) => ErrorKind::Internal,
            Self::Port(e) => e.kind,
            Self::Store(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound(_) => Some("list them: mainspring monitor list".into()),
            Self::NoProfile { model, version, .. } => {
                Some(format!("save one: mainspring profile TRAINING_FILE --version {model}/{version}"))
            }
            Self::NoReference { .. } => {
                Some("set the tag mainspring.reference_data on it: an artifact's path below its run".into())
            }
            Self::Profile(_) => Some("make one: mainspring profile FILE -o profile.json".into()),
            Self::Store(e) => e.hint(),
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Store(e) => e.retry_after(),
            Self::Port(e) if e.kind == ErrorKind::Unavailable => Some(ASK_AGAIN),
            _ => None,
        }
    }
}
