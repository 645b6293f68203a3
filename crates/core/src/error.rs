//! The small vocabulary of failures. Every crate's error maps to one kind; each protocol maps a
//! kind to its own status and body, and nothing else.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What kind of failure it is: the only thing a caller may match on across crates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The request itself is wrong; sending it again will not help.
    InvalidInput,
    /// No credentials, or credentials nobody knows.
    Unauthenticated,
    /// Known, but not allowed.
    Denied,
    /// The thing named does not exist.
    NotFound,
    /// The thing to be created exists.
    AlreadyExists,
    /// Somebody else changed it first, or its state forbids this.
    Conflict,
    /// The body, the batch or the disk is too small for it.
    TooLarge,
    /// Refused now because of load or quota; retry after a while.
    Overloaded,
    /// The deadline passed before an answer.
    DeadlineExceeded,
    /// The caller went away.
    Cancelled,
    /// Something this needs does not answer now; retry.
    Unavailable,
    /// Known to the protocol, not built here.
    Unimplemented,
    /// A bug or a broken machine; never the caller's fault.
    Internal,
}

impl ErrorKind {
    /// Every kind, for tables and tests.
    pub const ALL: [Self; 13] = [
        Self::InvalidInput,
        Self::Unauthenticated,
        Self::Denied,
        Self::NotFound,
        Self::AlreadyExists,
        Self::Conflict,
        Self::TooLarge,
        Self::Overloaded,
        Self::DeadlineExceeded,
        Self::Cancelled,
        Self::Unavailable,
        Self::Unimplemented,
        Self::Internal,
    ];

    /// Whether the same request may succeed later without being changed.
    pub fn retryable(self) -> bool {
        matches!(self, Self::Overloaded | Self::Unavailable | Self::DeadlineExceeded)
    }

    /// The stable name used in journals, metrics and problem bodies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid_input",
            Self::Unauthenticated => "unauthenticated",
            Self::Denied => "denied",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::Overloaded => "overloaded",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Cancelled => "cancelled",
            Self::Unavailable => "unavailable",
            Self::Unimplemented => "unimplemented",
            Self::Internal => "internal",
        }
    }

    /// The HTTP status that this kind has by default. A protocol with another table says so in its
    /// own crate.
    pub fn http_status(self) -> u16 {
        match self {
            Self::InvalidInput => 400,
            Self::Unauthenticated => 401,
            Self::Denied => 403,
            Self::NotFound => 404,
            Self::AlreadyExists | Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::Overloaded => 429,
            Self::Cancelled => 499,
            Self::Internal => 500,
            Self::Unimplemented => 501,
            Self::Unavailable => 503,
            Self::DeadlineExceeded => 504,
        }
    }
}

/// An error that a protocol can render: its kind, its text, and what to do next.
pub trait Failure: std::error::Error {
    /// The kind that decides status codes and retries.
    fn kind(&self) -> ErrorKind;

    /// What the user can do next, when there is something better to say than the message itself.
    fn hint(&self) -> Option<String> {
        None
    }

    /// How long to wait before trying again, when that is known better than "a while".
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}
