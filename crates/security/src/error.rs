//! What can go wrong.

use mainspring_core::{ErrorKind, Failure};
use mainspring_store::StoreError;
use std::time::Duration;

/// Why a credential was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Nobody knows the key; it may have been revoked.
    #[error("the API key is not known here; it may have been revoked")]
    UnknownKey,
    /// The key is past its expiry.
    #[error("the API key has expired")]
    ExpiredKey,
    /// The session is not known, ended, or too old.
    #[error("the session has ended")]
    SessionEnded,
    /// The CSRF token is missing or is not this session's.
    #[error("the CSRF token is missing or does not belong to this session")]
    Csrf,
    /// Too many wrong credentials from this address.
    #[error("too many wrong credentials from this address; wait {} s", .0.as_secs().max(1))]
    Throttled(Duration),
}

impl Failure for AuthError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Csrf => ErrorKind::Denied,
            Self::Throttled(_) => ErrorKind::Overloaded,
            _ => ErrorKind::Unauthenticated,
        }
    }
}

/// Why a change to keys or sessions was not made.
#[derive(Debug, thiserror::Error)]
pub enum SecurityError {
    /// No such key in the caller's tenant.
    #[error("there is no key {id:?}")]
    NoSuchKey {
        /// The id given.
        id: String,
    },
    /// A key that no longer works cannot be rotated.
    #[error("key {id:?} was revoked or has expired and cannot be rotated")]
    Dead {
        /// Its id.
        id: String,
    },
    /// A key that another one has the place of already.
    #[error("key {id:?} was replaced by {by:?} and cannot be rotated again")]
    Replaced {
        /// Its id.
        id: String,
        /// That of the key in its place.
        by: String,
    },
    /// A label that is empty or too long.
    #[error("a key's label is 1 to 200 characters; this one has {0}")]
    Label(usize),
    /// A group that cannot be.
    #[error("group {group:?}: {reason}")]
    Group {
        /// As it was given.
        group: String,
        /// What is wrong.
        reason: String,
    },
    /// Only the default tenant's administrators make keys for other tenants.
    #[error("a key of tenant {own:?} cannot make keys for tenant {other:?}")]
    OtherTenant {
        /// The caller's tenant.
        own: String,
        /// The tenant asked for.
        other: String,
    },
    /// An expiry that has passed already.
    #[error("the expiry lies in the past")]
    Past,
    /// The credential used is not accepted.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The operating system gave no randomness.
    #[error("the operating system gave no random bytes: {0}")]
    Random(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Failure for SecurityError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSuchKey { .. } => ErrorKind::NotFound,
            Self::Dead { .. } | Self::Replaced { .. } => ErrorKind::Conflict,
            Self::Label(_) | Self::Group { .. } | Self::Past => ErrorKind::InvalidInput,
            Self::OtherTenant { .. } => ErrorKind::Denied,
            Self::Auth(e) => e.kind(),
            Self::Random(_) => ErrorKind::Internal,
            Self::Store(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoSuchKey { .. } => Some("list the keys: mainspring key list".into()),
            Self::Dead { .. } => Some("make a new one: mainspring key create".into()),
            Self::Replaced { by, .. } => Some(format!("rotate the one in its place: mainspring key rotate {by}")),
            Self::OtherTenant { .. } => Some("use an administrator's key of the default tenant".into()),
            Self::Store(e) => e.hint(),
            _ => None,
        }
    }
}
