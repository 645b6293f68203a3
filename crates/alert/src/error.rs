//! Why something about alerts was not done.

use crate::render::RenderError;
use mainspring_core::{ErrorKind, Failure};
use mainspring_store::StoreError;
use std::time::Duration;

/// Why something about alerts was not done.
#[derive(Debug, thiserror::Error)]
pub enum AlertError {
    /// No channel of this name.
    #[error("there is no alert channel {channel:?}")]
    NoChannel {
        /// The name.
        channel: String,
    },
    /// No silence of this id, or it has ended.
    #[error("there is no silence {id:?} that has not ended")]
    NoSilence {
        /// The id.
        id: String,
    },
    /// A silence that would silence everything, or ends before it begins.
    #[error("{0}")]
    BadSilence(String),
    /// The tenant has as many silences as it may.
    #[error("there are {most} silences that have not ended, which is the most")]
    TooMany {
        /// How many.
        most: usize,
    },
    /// A notice has no form.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// A receiver did not take a notice.
    #[error("{channel:?} did not take it: {reason}")]
    NotTaken {
        /// The channel.
        channel: String,
        /// What was said.
        reason: String,
    },
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

impl Failure for AlertError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoChannel { .. } | Self::NoSilence { .. } => ErrorKind::NotFound,
            Self::BadSilence(_) | Self::Render(_) => ErrorKind::InvalidInput,
            Self::TooMany { .. } => ErrorKind::Conflict,
            Self::NotTaken { .. } | Self::Port(_) => ErrorKind::Unavailable,
            Self::Stored { .. } => ErrorKind::Internal,
            Self::Store(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoChannel { .. } => Some("declare one: mainspring apply -f, with kind: AlertChannel".into()),
            Self::TooMany { .. } => Some("end one that is of no use: mainspring alert unsilence ID".into()),
            Self::NoSilence { .. } => Some("list them: mainspring alert silences".into()),
            Self::Render(RenderError::Secret(_)) => {
                Some("set it where the server runs, or put the file into its folder of secrets".into())
            }
            Self::Store(e) => e.hint(),
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        if let Self::Store(e) = self { e.retry_after() } else { None }
    }
}
